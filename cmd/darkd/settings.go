package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

// settings are read from a YAML file, the environment and flags; each in turn counts
// more than the one before. An unknown key is an error that names it and its line.
type settings struct {
	cmd   *cobra.Command
	file  string
	items []*setting
	given map[string]bool // settings that a flag, the environment or the file states
}

// stated reports whether somebody gave a setting a value, once they are loaded.
func (s *settings) stated(name string) bool { return s.given[name] }

type setting struct {
	name string // of the flag and the key: "name-servers" is nameServers in the file
	text *string
	list *[]string
	flag *bool
}

func newSettings(c *cobra.Command) *settings {
	s := &settings{cmd: c}
	c.Flags().StringVarP(&s.file, "config", "c", "", "YAML `FILE` with these settings")
	return s
}

func (s *settings) text(p *string, name, def, usage string) {
	s.cmd.Flags().StringVar(p, name, def, usage)
	s.items = append(s.items, &setting{name: name, text: p})
}

func (s *settings) list(p *[]string, name string, def []string, usage string) {
	s.cmd.Flags().StringSliceVar(p, name, def, usage)
	s.items = append(s.items, &setting{name: name, list: p})
}

func (s *settings) bool(p *bool, name, usage string) {
	s.cmd.Flags().BoolVar(p, name, false, usage)
	s.items = append(s.items, &setting{name: name, flag: p})
}

// key is the setting's name in a file: "name-servers" is nameServers.
func (t *setting) key() string {
	parts := strings.Split(t.name, "-")
	for i := 1; i < len(parts); i++ {
		parts[i] = strings.ToUpper(parts[i][:1]) + parts[i][1:]
	}
	return strings.Join(parts, "")
}

func (t *setting) env() string {
	return "DARK_" + strings.ToUpper(strings.ReplaceAll(t.name, "-", "_"))
}

// load fills the settings; flags were parsed already and are not overwritten.
func (s *settings) load() error {
	given, stated := map[string]bool{}, map[string]bool{}
	for _, t := range s.items {
		given[t.name] = s.cmd.Flags().Changed(t.name)
		stated[t.name] = given[t.name]
	}
	if s.file != "" {
		if err := s.loadFile(given, stated); err != nil {
			return usageError{err}
		}
	}
	for _, t := range s.items {
		if v, ok := os.LookupEnv(t.env()); ok && !given[t.name] {
			if err := t.set(strings.Split(v, ",")); err != nil {
				return usageError{fmt.Errorf("environment %s: %w", t.env(), err)}
			}
			stated[t.name] = true
		}
	}
	s.given = stated
	return nil
}

func (s *settings) loadFile(given, stated map[string]bool) error {
	b, err := os.ReadFile(s.file)
	if err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return fmt.Errorf("%s: %w", s.file, err)
	}
	if len(doc.Content) == 0 {
		return nil
	}
	m := doc.Content[0]
	if m.Kind != yaml.MappingNode {
		return fmt.Errorf("%s:%d: a mapping of settings is expected", s.file, m.Line)
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		k, v := m.Content[i], m.Content[i+1]
		at := slices.IndexFunc(s.items, func(t *setting) bool { return t.key() == k.Value })
		if at < 0 {
			return fmt.Errorf("%s:%d: unknown setting %q; there are: %s", s.file, k.Line, k.Value, s.keys())
		}
		if t := s.items[at]; !given[t.name] {
			if err := t.set(scalars(v)); err != nil {
				return fmt.Errorf("%s:%d: %s: %w", s.file, v.Line, k.Value, err)
			}
			stated[t.name] = true
		}
	}
	return nil
}

func (s *settings) keys() string {
	var names []string
	for _, t := range s.items {
		names = append(names, t.key())
	}
	return strings.Join(names, ", ")
}

// scalars is a value or a list of values as texts; nil for anything else.
func scalars(v *yaml.Node) []string {
	switch v.Kind {
	case yaml.ScalarNode:
		return []string{v.Value}
	case yaml.SequenceNode:
		out := []string{}
		for _, c := range v.Content {
			if c.Kind != yaml.ScalarNode {
				return nil
			}
			out = append(out, c.Value)
		}
		return out
	}
	return nil
}

func (t *setting) set(values []string) error {
	switch {
	case values == nil:
		return errors.New("a value or a list of values is expected")
	case t.list != nil:
		*t.list = slices.DeleteFunc(values, func(v string) bool { return v == "" })
		return nil
	case len(values) != 1:
		return errors.New("one value is expected, not a list")
	case t.text != nil:
		*t.text = values[0]
		return nil
	}
	switch values[0] {
	case "true", "1":
		*t.flag = true
	case "false", "0", "":
		*t.flag = false
	default:
		return fmt.Errorf("true or false is expected, not %q", values[0])
	}
	return nil
}
