// Renders the chart's templates as `helm template` would, as far as they go: Helm is not in Debian. Reads the objects that
// templates see as JSON, and writes all documents. Functions that the chart does not use are not here, and so fail.
package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"text/template"
)

var functions = template.FuncMap{
	"required": func(complaint string, value interface{}) (interface{}, error) {
		if value == nil || value == "" {
			return nil, fmt.Errorf("%s", complaint)
		}
		return value, nil
	},
	"default": func(otherwise, value interface{}) interface{} {
		if value == nil || reflect.ValueOf(value).IsZero() {
			return otherwise
		}
		return value
	},
	"add":       func(a, b float64) int { return int(a + b) },
	"quote":     func(text string) string { return fmt.Sprintf("%q", text) },
	"sha256sum": func(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) },
	"nindent": func(width int, text string) string {
		indent := "\n" + strings.Repeat(" ", width)
		return indent + strings.ReplaceAll(text, "\n", indent)
	},
	// JSON is YAML, but not where it begins on a line of a mapping: each key on a line of its own.
	"toYaml": func(value interface{}) (string, error) {
		fields, is := value.(map[string]interface{})
		if !is || len(fields) == 0 {
			text, err := json.Marshal(value)
			return string(text), err
		}
		var lines []string
		for key, field := range fields {
			text, err := json.Marshal(field)
			if err != nil {
				return "", err
			}
			lines = append(lines, fmt.Sprintf("%q: %s", key, text))
		}
		return strings.Join(lines, "\n"), nil
	},
}

func main() {
	var seen map[string]interface{}
	if err := json.NewDecoder(os.Stdin).Decode(&seen); err != nil {
		fmt.Fprintln(os.Stderr, "render:", err)
		os.Exit(1)
	}
	for _, file := range os.Args[1:] {
		text, err := os.ReadFile(file)
		if err == nil {
			var parsed *template.Template
			if parsed, err = template.New(file).Funcs(functions).Parse(string(text)); err == nil {
				fmt.Println("---")
				err = parsed.Execute(os.Stdout, seen)
			}
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "render:", err)
			os.Exit(1)
		}
	}
}
