"""Release scripts' knowledge of the packages of this tree."""
