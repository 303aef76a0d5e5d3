// Package demo is the kind Note, which proves what a kind needs: its proto, this
// package and a line in a list. It is part of tests only and has no state.
package demo

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/dark-ecosystem/dark/internal/kind"
	demov1 "github.com/dark-ecosystem/dark/proto/dark/demo/v1"
)

// Note is the kind of notes; edges are told the text.
func Note() *kind.Kind {
	return &kind.Kind{
		Message: &demov1.Note{}, Plural: "notes", Pattern: "notes/{note}", Service: "demo", Lane: kind.LaneData,
		Publish: func(_ context.Context, p kind.Publication, emit func(kind.Record) error) error {
			r := kind.Record{
				Kind: "dark.demo.v1.Note", Stream: "org/" + p.Organization, Name: p.Stored,
				Lane: kind.LaneData,
			}
			if p.New != nil {
				var err error
				if r.Value, err = proto.Marshal(p.New.(*demov1.Note).Spec); err != nil {
					return err
				}
			}
			return emit(r)
		},
		Columns: []kind.Column{{Title: "TEXT", Path: "spec.text"}},
	}
}
