"""Templates: what they print, what they refuse, and that nothing else can happen."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calicoctl.gotemplate import TemplateError, render
from calicoctl.gotemplate.formatting import sprintf
from calicoctl.gotemplate.functions import join, join_and_truncate


@dataclass(frozen=True)
class Thing:
    Name: str
    Count: int = 0
    Nothing: object = None


def fields(value, name):
    if not hasattr(value, name):
        raise KeyError(f"can't evaluate field {name}")
    return getattr(value, name)


DATA = {
    "Name": "demo",
    "On": True,
    "Off": False,
    "Order": 1e6,
    "Nets": ["10.0.0.0/8", "fd00::/8"],
    "Labels": {"b": "2", "a": "1"},
    "Things": [Thing("x", 1), Thing("y", 2)],
    "None": None,
    "Empty": [],
}


def show(source, data=DATA):
    extra = {"join": join, "joinAndTruncate": join_and_truncate}
    return render(source, data, fields=fields, extra=extra)


@pytest.mark.parametrize(
    ("source", "printed"),
    [
        ("", ""),
        ("plain } text {", "plain } text {"),
        ("{{.Name}}", "demo"),
        ('{{define "t"}}{{.}}{{end}}{{range .Nets}}{{template "t" .}} {{end}}', "10.0.0.0/8 fd00::/8 "),
        ("{{ .Name }}{{.Order}} {{.On}} {{.None}}", "demo1e+06 true <nil>"),
        ("{{.Nets}} {{.Labels}}", "[10.0.0.0/8 fd00::/8] map[a:1 b:2]"),
        ("{{.Lost}}", "<no value>"),
        ("{{.Labels.a}}", "1"),
        ("{{/* nothing */}}a{{- /* trims */ -}} b", "ab"),
        ("a  {{- .Name -}}  \n b", "ademob"),
        ("a {{.Name -}} b", "a demob"),
        ("{{if .On}}y{{else}}n{{end}}{{if .Off}}y{{else}}n{{end}}", "yn"),
        ("{{if .Off}}1{{else if .Empty}}2{{else if .Name}}3{{else}}4{{end}}", "3"),
        ("{{range .Things}}{{.Name}}={{.Count}} {{end}}", "x=1 y=2 "),
        ("{{range $i, $t := .Things}}{{$i}}{{$t.Name}}{{$.Name}} {{end}}", "0xdemo 1ydemo "),
        ("{{range $t := .Things}}{{$t.Name}}{{end}}", "xy"),
        ("{{range $k, $v := .Labels}}{{$k}}{{$v}}{{end}}", "a1b2"),
        ("{{range .Empty}}x{{else}}none{{end}}{{range .None}}x{{end}}", "none"),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ("{{range .Things}}{{if eq .Name `y`}}{{break}}{{end}}{{.Name}}{{end}}", "x"),
        ("{{range .Things}}{{if eq .Name `x`}}{{continue}}{{end}}{{.Name}}{{end}}", "y"),
        ("{{with .Labels}}{{.a}}{{end}}{{with .Empty}}x{{else}}-{{end}}", "1-"),
        ("{{with .Off}}1{{else with .Name}}{{.}}{{end}}", "demo"),
        ("{{$n := 0}}{{range .Things}}{{$n = .Count}}{{end}}{{$n}}", "2"),
        ("{{$n := 1}}{{if .On}}{{$n := 2}}{{$n}}{{end}}{{$n}}", "21"),
        ("{{len .Nets}}{{len .Name}}{{len .Labels}}", "242"),
        ("{{index .Nets 1}} {{index .Labels `a`}}", "fd00::/8 1"),
        ("{{(index .Things 1).Name}}", "y"),
        ('{{printf "%-6s|%5.2f|%03d|%q" .Name 1.5 7 "a"}}', 'demo  | 1.50|007|"a"'),
        ('{{.Name | printf "%s-%s" "a" | len}}', "6"),
        ("{{join .Nets `;`}}", "10.0.0.0/8;fd00::/8"),
        ("{{joinAndTruncate .Nets `,` 10}}", "10.0.0...."),
        ("{{and .On .Name}}{{or .Off .Empty .Name}}{{not .On}}", "demodemofalse"),
        ("{{and .Off (index .Empty 9)}}", "false"),
        ("{{eq 1 2 1}}{{ne 1 2}}{{lt 1 2}}{{ge `b` `a`}}{{gt 1 1}}{{le 1 1}}", "truetruetruetruefalsetrue"),
        ("{{eq .None nil}}", "true"),
        ("{{print 1 2 `a` 3}}{{println .Name}}", "1 2a3demo\n"),
        ('{{"\\t\\x41\\u00e9\\""}}{{\'a\'}}{{0x10}}{{-1.5}}', '\tAé"9716-1.5'),
        ("{{html `<a>`}}{{urlquery `a b`}}", "&lt;a&gt;a+b"),
        ("{{slice .Name 1 3}}", "em"),
    ],
)  # fmt: skip
def test_prints(source, printed):
    assert show(source) == printed


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{{", "template:1:3: unclosed action"),
        ("a\n{{.Name", "template:2:8: unclosed action"),
        ("{{}}", "missing value for command"),
        ("{{.Name!}}", "unexpected '!'"),
        ("{{`a}}", "unterminated quoted text"),
        ("{{/* a }}", "unclosed comment"),
        ("{{if .On}}a", "{{end}} is missing"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{else}}", "unexpected {{else}}"),
        ("{{if}}{{end}}", "missing value for if"),
        ("{{break}}", "outside {{range}}"),
        ("{{$x}}", "undefined variable '$x'"),
        ("{{if .On}}{{$x := 1}}{{end}}{{$x}}", "undefined variable"),
        ("{{(.Name}}", "unclosed left parenthesis"),
        ("{{.Name)}}", "unexpected ')'"),
        ('{{if .On}}{{define "a"}}{{end}}{{end}}', "1:13: {{define}} inside another action"),
        (
            '{{define "a"}}b{{end}}\n {{define "a"}}c{{end}}',
            "2:4: multiple definition of template 'a'",
        ),
        ("{{define a}}{{end}}", "1:10: unexpected 'a' in define: a name in quotes"),
        ('{{define "a"}}', "{{end}} is missing"),
        ('{{block "a"}}{{end}}', "missing value for block"),
        ('a\n{{template "a"}}', "2:3: template 'a' not defined; there are none"),
        ('{{define "a"}}{{len 1}}{{end}}\n{{template "a"}}', "1:17: error calling len"),
        (
            '{{define "a"}}{{template "a"}}{{end}}{{template "a"}}',
            "templates call each other too deeply",
        ),
        (
            '{{define "a"}}'
            + "{{if 1}}" * 15
            + '{{template "a" '
            + "(" * 20
            + "."
            + ")" * 20
            + "}}"
            + "{{end}}" * 16
            + '{{template "a" 1}}',
            "templates call each other too deeply",
        ),
        ("{{len (foo)}}", '1:8: function "foo" not defined'),
        ("{{if .Off}}{{foo}}{{end}}", '1:14: function "foo" not defined'),
        ("{{nil}}", "nil is not a command"),
        ("{{foo .}}", 'function "foo" not defined'),
        ("{{.Name 1}}", "can't give argument"),
        ("{{1 | 2}}", "can't give argument"),
        ("{{.None.Name}}", "nil pointer evaluating Name"),
        ("{{range .Things}}{{.Lost}}{{end}}", "can't evaluate field Lost"),
        ("{{range .Name}}{{end}}", "range can't iterate over demo (string)"),
        ("{{index .Nets 2}}", "index out of range: 2"),
        ("{{index .Nets `a`}}", "cannot index"),
        ("{{len .On}}", "len of true (bool)"),
        ("{{eq 1 `a`}}", "incompatible types"),
        ("{{lt .Nets .Nets}}", "invalid type for comparison"),
        ("{{eq 1}}", "missing argument"),
        ("{{len}}", "cannot take these 0 arguments"),
        ("{{09}}", "bad constant 09"),
        ('{{"\\z"}}', "unknown escape"),
        ("{{'ab'}}", "malformed character constant"),
        ("{{" + "(" * 100 + "1" + ")" * 100 + "}}", "nested too deeply"),
        ("{{if 1}}" * 100 + "{{end}}" * 100, "nested too deeply"),
    ],
)
def test_refuses(source, said):
    with pytest.raises(TemplateError, match=r"^template:") as caught:
        show(source)
    assert said in str(caught.value)


WORDS = """{{ }} {{- -}} . .Name .Things $ $x := = | ( ) , if else end range with break continue
define template block "t" printf len index eq and not `a` "%d" 1 -2.5 'c' nil true /* */ 0x"""
SOUP = st.lists(st.sampled_from(WORDS.split()))


@given(st.one_of(st.text(), SOUP.map(" ".join), SOUP.map("".join)))
def test_any_text_is_printed_or_refused_with_a_place(source):
    try:
        printed = show(source)
    except TemplateError as error:
        printed = str(error).removeprefix("template:")
        place = printed.split(":")
        printed = "" if place[0].isdecimal() and place[1].isdecimal() else None
    assert isinstance(printed, str)


@given(st.text().filter(lambda text: "{{" not in text))
def test_text_without_actions_is_itself(text):
    assert show(text) == text


@given(
    st.text(), st.lists(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()))
)
def test_printf_takes_any_format_and_any_arguments(form, arguments):
    assert isinstance(sprintf(form, arguments), str)


@given(st.integers(), st.text(), st.booleans())
def test_printf_agrees_with_the_plain_forms(number, text, flag):
    assert sprintf("%d|%s|%t|%%", [number, text, flag]) == f"{number}|{text}|{str(flag).lower()}|%"


@pytest.mark.parametrize(
    ("form", "items", "printed"),
    [
        ("%d", ["a"], "%!d(string=a)"),
        ("%d %s", [1], "1 %!s(MISSING)"),
        ("%d", [1, True], "1%!(EXTRA bool=true)"),
        ("%", [], "%!(NOVERB)"),
        ("%x %X %o %b %c %U", [255, 255, 8, 5, 65, 65], "ff FF 10 101 A U+0041"),
        ("%*d|%-4d|%+d", [4, 1, 2, 3], "   1|2   |+3"),
        ("%.2s", ["abc"], "ab"),
        ("%g %e", [1e6, 1.5], "1e+06 1.500000e+00"),
        ("%v %T", [[1, "a"], 1.0], "[1 a] float64"),
        ("%s", [3], "%!s(int=3)"),
    ],
)
def test_printf(form, items, printed):
    assert sprintf(form, items) == printed
