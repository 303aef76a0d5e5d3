package s3

import (
	"net/http"
	"strings"

	"github.com/dark-ecosystem/dark/dataplane/s3/s3xml"
)

// steering parameters, by their names in lower case, decide which operation a request is.
var steering = func() map[string]string {
	m := map[string]string{"list-type": "list-type", "partnumber": "partNumber", "versionid": "versionId"}
	for name := range subresources {
		m[strings.ToLower(name)] = name
	}
	return m
}()

// checkQuery refuses a query that names an operation twice, in part, or in another spelling.
// What such a request would do instead is worse than nothing: a part without its upload
// would replace the object, "?Tagging" would write the tags' document over it.
func (q *request) checkQuery() error {
	sub := ""
	for i, p := range q.query {
		name, ok := steering[strings.ToLower(p.name)]
		switch {
		case !ok:
			continue
		case name != p.name:
			return s3xml.Argument("The query parameter "+p.name+" is written "+name+".", "ResourceType", p.name)
		case q.query[:i].has(name):
			return s3xml.Argument("The query parameter "+name+" must be given once.", name, p.value)
		case !subresources[name]:
			continue
		case sub != "":
			return s3xml.Argument("Conflicting query string parameters: "+sub+", "+name, "ResourceType", sub)
		}
		sub = name
	}
	if err := q.checkListType(); err != nil {
		return err
	}
	return q.checkQualifiers(sub)
}

// checkListType: 2 is the only type that a listing can name.
func (q *request) checkListType() error {
	if v := q.query.get("list-type"); q.level == ofBucket && q.query.has("list-type") && v != "2" {
		return s3xml.Argument("Invalid List Type specified in Request", "list-type", v)
	}
	return nil
}

// checkQualifiers holds partNumber and versionId against the operation: they are refused
// where the operation would ignore them.
func (q *request) checkQualifiers(sub string) error {
	if q.op == &opUnknown || q.op == &opPreflight {
		return nil
	}
	if q.query.has("partNumber") && !q.takesPart(sub) {
		return s3xml.Argument("The query parameter partNumber needs an uploadId, or a GET or HEAD of an object.",
			"partNumber", q.query.get("partNumber"))
	}
	if q.query.has("versionId") && q.op.version == "" && q.op != &opReserved {
		return s3xml.Argument("This operation does not accept a version-id.", "versionId", q.query.get("versionId"))
	}
	return nil
}

func (q *request) takesPart(sub string) bool {
	read := q.r.Method == http.MethodGet || q.r.Method == http.MethodHead
	return q.level == ofObject && (sub == "" && read || sub == "uploadId" && q.r.Method == http.MethodPut)
}
