// Writes what Go's text/template makes of the templates in golden.json, into the same file:
//
//	go run main.go
//
// The data are those of test_golden.py.
package main

import (
	"encoding/json"
	"os"
	"strings"
	"text/template"
)

type thing struct {
	Name    string
	Count   int
	Nothing *int
}

type data struct {
	Name   string
	On     bool
	Off    bool
	Order  float64
	Nets   []string
	Labels map[string]string
	Things []thing
	None   *int
	Empty  []string
}

type golden struct {
	Source  string  `json:"source"`
	Printed *string `json:"printed"` // null: Go refuses it
}

var demo = data{
	Name:   "demo",
	On:     true,
	Order:  1e6,
	Nets:   []string{"10.0.0.0/8", "fd00::/8"},
	Labels: map[string]string{"a": "1", "b": "2"},
	Things: []thing{{"x", 1, nil}, {"y", 2, nil}},
	Empty:  []string{},
}

func printed(source string) *string {
	parsed, err := template.New("get").Funcs(template.FuncMap{"join": strings.Join}).Parse(source)
	if err != nil {
		return nil
	}
	var out strings.Builder
	if parsed.Execute(&out, demo) != nil {
		return nil
	}
	text := out.String()
	return &text
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	raw, err := os.ReadFile("golden.json")
	check(err)
	var all []golden
	check(json.Unmarshal(raw, &all))
	for i := range all {
		all[i].Printed = printed(all[i].Source)
	}
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	check(encoder.Encode(all))
	check(os.WriteFile("golden.json", []byte(out.String()), 0o644))
}
