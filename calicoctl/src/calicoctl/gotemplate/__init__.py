"""Go's text/template: the subset that people write for ``-o go-template``. Pure.

:func:`render` does it all; ``lexer`` (text → tokens), ``parse`` (tokens → ``model``), ``execute``
(model and data → text), ``functions`` and ``formatting`` (printf) in this order.

The grammar, blanks between tokens left out:

.. code-block:: text

    template = { text | "{{" [ "-" ] action [ "-" ] "}}" }
    action   = comment | pipeline | "if" pipeline | "else" [ "if" pipeline ] | "range" [ pair ] pipeline
             | "with" pipeline | "end" | "break" | "continue"
             | "define" name | "block" name pipeline | "template" name [ pipeline ]
    pair     = variable [ "," variable ] ":="
    pipeline = [ variable ( ":=" | "=" ) ] command { "|" command }
    command  = operand { operand }
    operand  = ( "." | field | variable | literal | identifier | "(" pipeline ")" ) { field }
    field    = "." identifier

Not there, and said so: complex and imaginary numbers.
"""

from calicoctl.gotemplate.execute import render
from calicoctl.gotemplate.model import TemplateError

__all__ = ["TemplateError", "render"]
