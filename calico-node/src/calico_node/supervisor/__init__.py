"""The processes of a node: which there are, how supervisord keeps them, how they are asked."""
