package api

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// route is one REST endpoint, as the google.api.http option of its method states it.
type route struct {
	method   string // of HTTP
	template string // with {name} written as {name=*}
	full     string // of gRPC
	input    protoreflect.MessageDescriptor
	body     string   // field that the body is; "*": the whole request; "": there is no body
	vars     []string // fields that the path gives, as proto names joined by dots
	path     *regexp.Regexp
	file     *File // the body is a file; nil for JSON
}

// routes of the registered services, by HTTP method and template.
type routes map[string]*route

func (rs routes) add(service protoreflect.FullName) error {
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(service)
	if err != nil {
		return fmt.Errorf("find service %s: %w", service, err)
	}
	methods := d.(protoreflect.ServiceDescriptor).Methods()
	for i := range methods.Len() {
		md := methods.Get(i)
		rule, _ := proto.GetExtension(md.Options(), annotations.E_Http).(*annotations.HttpRule)
		if rule == nil {
			continue
		}
		for _, r := range append([]*annotations.HttpRule{rule}, rule.AdditionalBindings...) {
			x := newRoute(md, r)
			rs[x.method+" "+x.template] = x
		}
	}
	return nil
}

var (
	variable = regexp.MustCompile(`\{([^}=]+)(=[^}]*)?\}`)
	plain    = regexp.MustCompile(`\{([^}=]+)\}`)
	// globs turns the stars of a template, as QuoteMeta writes them, into expressions.
	globs = strings.NewReplacer(`\*\*`, `.+`, `\*`, `[^/]+`)
)

func newRoute(md protoreflect.MethodDescriptor, rule *annotations.HttpRule) *route {
	method, path := verbOf(rule)
	r := &route{
		method: method, template: plain.ReplaceAllString(path, "{$1=*}"), body: rule.Body, input: md.Input(),
		full: "/" + string(md.Parent().FullName()) + "/" + string(md.Name()),
	}
	for _, v := range variable.FindAllStringSubmatch(r.template, -1) {
		r.vars = append(r.vars, v[1])
	}
	glob := variable.ReplaceAllStringFunc(r.template, func(v string) string {
		_, glob, _ := strings.Cut(strings.Trim(v, "{}"), "=")
		return glob
	})
	r.path = regexp.MustCompile("^" + globs.Replace(regexp.QuoteMeta(glob)) + "$")
	return r
}

func verbOf(r *annotations.HttpRule) (method, path string) {
	switch p := r.Pattern.(type) {
	case *annotations.HttpRule_Get:
		return "GET", p.Get
	case *annotations.HttpRule_Post:
		return "POST", p.Post
	case *annotations.HttpRule_Put:
		return "PUT", p.Put
	case *annotations.HttpRule_Patch:
		return "PATCH", p.Patch
	case *annotations.HttpRule_Delete:
		return "DELETE", p.Delete
	}
	return "", ""
}

// allow lists the methods that a path has (RFC 9110 10.2.1).
func (rs routes) allow(path string) []string {
	var out []string
	for _, r := range rs {
		if r.path.MatchString(path) && !slices.Contains(out, r.method) {
			out = append(out, r.method)
		}
	}
	slices.Sort(out)
	return out
}
