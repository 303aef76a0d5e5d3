package api

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"strings"

	"github.com/dark-ecosystem/dark/proto/openapi"
)

// openAPI merges the documents that are generated for each service into one. packages
// are the proto packages of the services that this server has; extras with files are in
// none of the documents, and are described here.
func openAPI(version string, packages map[string]bool, extras []Extra) ([]byte, error) {
	paths, schemas := map[string]any{}, map[string]any{}
	dialect := ""
	err := fs.WalkDir(openapi.Files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".openapi.json") ||
			!packages[strings.ReplaceAll(path.Dir(name), "/", ".")] {
			return err
		}
		b, err := openapi.Files.ReadFile(name)
		if err != nil {
			return err
		}
		var doc struct {
			OpenAPI    string         `json:"openapi"`
			Paths      map[string]any `json:"paths"`
			Components struct {
				Schemas map[string]any `json:"schemas"`
			} `json:"components"`
		}
		if err := json.Unmarshal(b, &doc); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		for p := range doc.Paths {
			if paths[p] != nil {
				return fmt.Errorf("%s: the path %s is in another document too", name, p)
			}
		}
		dialect = doc.OpenAPI
		maps.Copy(paths, doc.Paths)
		maps.Copy(schemas, doc.Components.Schemas)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("merge OpenAPI documents: %w", err)
	}
	for _, x := range extras {
		if x.File == nil {
			continue
		}
		if err := x.describe(paths); err != nil {
			return nil, fmt.Errorf("describe %s of %s: %w", x.Name, x.Service, err)
		}
	}
	if version == "" {
		version = "0"
	}
	return json.Marshal(map[string]any{
		"openapi": dialect,
		"info": map[string]any{
			"title": "Dark", "version": version,
			"description": "The API of a Dark installation; every method is also gRPC.",
		},
		"paths": paths,
		"components": map[string]any{
			"schemas":         schemas,
			"securitySchemes": map[string]any{"token": map[string]any{"type": "http", "scheme": "bearer"}},
		},
		"security": []any{map[string]any{"token": []any{}}},
	})
}
