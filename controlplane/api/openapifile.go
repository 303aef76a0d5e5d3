package api

import (
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// describe adds the OpenAPI description of a method of files.
func (x Extra) describe(paths map[string]any) error {
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(x.Service.Append(protoreflect.Name(x.Name)))
	if err != nil {
		return err
	}
	md := d.(protoreflect.MethodDescriptor)
	file := map[string]any{"content": map[string]any{
		x.File.Media: map[string]any{"schema": map[string]any{"type": "string"}},
	}}
	answer := map[string]any{"description": "the file", "content": file["content"]}
	operation := map[string]any{
		"operationId": string(md.Parent().Name()) + "_" + x.Name, "tags": []any{string(md.Parent().Name())},
		"parameters": x.parameters(md.Input()),
	}
	if md.IsStreamingClient() {
		file["required"] = true
		operation["requestBody"] = file
		answer = map[string]any{
			"description": "what became of it: the last " + string(md.Output().FullName()),
			"content": map[string]any{
				"application/json": map[string]any{"schema": map[string]any{"type": "object"}},
			},
		}
	}
	refusal := map[string]any{"schema": map[string]any{"$ref": "#/components/schemas/google.rpc.Status"}}
	operation["responses"] = map[string]any{
		"200":     answer,
		"default": map[string]any{"description": "a refusal", "content": map[string]any{"application/json": refusal}},
	}
	rt := fileRoute(x, md)
	// The documents that are generated write {name=zones/*} as zones/{name}.
	paths["/v1/"+variable.ReplaceAllString(x.Kind.Pattern, "{name}")+":"+
		x.File.Verb] = map[string]any{strings.ToLower(rt.method): operation}
	return nil
}

// parameters are the name in the path, and the fields that the query takes.
func (x Extra) parameters(in protoreflect.MessageDescriptor) []any {
	out := []any{map[string]any{
		"name": "name", "in": "path", "required": true,
		"schema": map[string]any{"type": "string"},
	}}
	for i := range in.Fields().Len() {
		f := in.Fields().Get(i)
		if f.Name() == "name" || f.Name() == fileField {
			continue
		}
		kind := "string" // 64-bit numbers too, as in all of the API's JSON
		if f.Kind() == protoreflect.BoolKind {
			kind = "boolean"
		}
		out = append(out, map[string]any{"name": f.JSONName(), "in": "query", "schema": map[string]any{"type": kind}})
	}
	return out
}
