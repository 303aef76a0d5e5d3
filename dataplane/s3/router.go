package s3

import (
	"net/http"
	"slices"
	"strings"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
)

// level says what a path names.
type level uint8

const (
	ofService level = iota
	ofBucket
	ofObject
)

// sort of operation, for counting.
type sort uint8

const (
	reads sort = iota
	writes
	lists
)

// operation is one of the S3 API's.
type operation struct {
	name string // as the API reference has it
	// action is what policies and scopes call it, and version is that for a request that
	// names a version; an empty action is asked of nobody.
	action, version string
	sort            sort
	run             func(*request) error
	// owner: only the bucket's organization may. Others are told this, though a policy
	// lets them; empty, they may.
	owner s3xml.Code
	// open: it is judged by itself, not by authorize.
	open bool
	// create: the bucket need not be there.
	create bool
	// body: what comes is a body for the store, and no document.
	body bool
	// conditions are the headers with conditions that a write holds to. Any other is refused.
	conditions []string
}

type route struct {
	level  level
	method string
	sub    string // the query parameter that picks it
}

// subresources are query parameters that pick an operation; others qualify it. uploadId
// and partNumber are looked at after them.
var subresources = map[string]bool{
	"accelerate": true, "acl": true, "abac": true, "analytics": true, "annotation": true, "attributes": true,
	"cors":   true,
	"delete": true, "encryption": true, "intelligent-tiering": true, "inventory": true, "legal-hold": true,
	"lifecycle": true, "location": true, "logging": true, "metadataConfiguration": true, "metadataTable": true,
	"metrics": true, "notification": true, "object-lock": true, "ownershipControls": true, "policy": true,
	"policyStatus": true, "publicAccessBlock": true, "renameObject": true, "replication": true,
	"requestPayment": true, "restore": true, "retention": true, "select": true, "session": true, "tagging": true,
	"torrent": true, "uploadId": true, "uploads": true, "versioning": true, "versions": true, "website": true,
	"metadataInventoryTable": true, "metadataJournalTable": true, "metadataAnnotationTable": true,
	// Not Amazon's. Other endpoints write a part of an object or make another one by them, and
	// a client that sends one to us would replace the object.
	"append": true, "position": true, "compose": true, "symlink": true,
}

// reserved subresources come later; all their methods answer NotImplemented, but for
// reads that AWS answers of a bucket that never had them (in routes).
var reserved = map[string]bool{
	"abac": true, "analytics": true, "annotation": true, "intelligent-tiering": true, "inventory": true,
	"legal-hold":            true,
	"metadataConfiguration": true, "metadataTable": true, "metrics": true, "object-lock": true, "renameObject": true,
	"replication": true, "restore": true, "retention": true, "select": true, "session": true, "torrent": true,
	"metadataInventoryTable": true, "metadataJournalTable": true, "metadataAnnotationTable": true,
	"website": true, "accelerate": true, "logging": true, "notification": true,
	"append": true, "position": true, "compose": true, "symlink": true,
}

// pick finds the operation that a request asks for.
func (q *request) pick() error {
	r := route{level: q.level, method: q.r.Method, sub: q.subresource()}
	if r.method == http.MethodOptions {
		q.op = &opPreflight
		return nil
	}
	if op, ok := routes[r]; ok {
		q.op = q.refine(op)
		return nil
	}
	if reserved[r.sub] || r.level == ofObject && r.sub == "encryption" {
		q.op = &opReserved
		return nil
	}
	q.op = &opUnknown
	return nil
}

// subresource is the parameter that picks the operation, empty for none.
func (q *request) subresource() string {
	sub := ""
	for _, p := range q.query {
		if subresources[p.name] && sub == "" {
			sub = p.name
		}
	}
	if sub == "" && q.query.has("list-type") && q.level == ofBucket && q.query.get("list-type") == "2" {
		sub = "list-type"
	}
	return sub
}

// refine tells apart operations that headers pick.
func (q *request) refine(op *operation) *operation {
	if q.r.Method != http.MethodPut || q.r.Header["X-Amz-Copy-Source"] == nil {
		return op
	}
	switch op {
	case &opPutObject:
		return &opCopyObject
	case &opUploadPart:
		return &opUploadPartCopy
	}
	return op
}

// allowed lists the methods that the resource of a request knows (RFC 9110 10.2.1).
func (q *request) allowed() string {
	sub := q.subresource()
	var methods []string
	for r := range routes {
		if r.level == q.level && r.sub == sub {
			methods = append(methods, r.method)
		}
	}
	slices.Sort(methods)
	return strings.Join(methods, ", ")
}

var (
	opReserved  = operation{name: "Reserved", open: true, create: true, run: (*request).reserved}
	opUnknown   = operation{name: "Unknown", open: true, create: true, run: (*request).methodNotAllowed}
	opPreflight = operation{name: "Preflight", open: true, create: true, run: (*request).preflight}
)

func (q *request) reserved() error {
	sub := q.subresource()
	if sub == "" {
		sub = q.op.name
	}
	return notImplemented(sub)
}

func (q *request) methodNotAllowed() error {
	if q.level == ofService && q.r.Method == http.MethodPost {
		return notImplemented("Action") // STS and its like
	}
	q.w.Header().Set("Allow", q.allowed())
	return s3xml.New(s3xml.MethodNotAllowed, "Method", q.r.Method, "ResourceType", strings.ToUpper(q.subresource()))
}
