package command

import (
	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/cmd/dark/internal/render"
)

// message prints a message whole in JSON and YAML, or as table writes it. Fields that
// have no value stand there as well, so that scripts need not ask whether they do.
func (s *session) message(m proto.Message, table func() error) error {
	v, err := render.Plain(m)
	if err != nil {
		return err
	}
	return s.value(v, table)
}

// messages is message for a list.
func messages[M proto.Message](s *session, list []M, table func() error) error {
	out := make([]any, 0, len(list))
	for _, m := range list {
		v, err := render.Plain(m)
		if err != nil {
			return err
		}
		out = append(out, v)
	}
	return s.value(out, table)
}
