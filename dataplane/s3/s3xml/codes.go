package s3xml

import "net/http"

// Code names an error of S3. It is an error itself, which a function may return where
// there is nothing to add to it.
type Code string

// kind is what AWS documents of a code.
type kind struct {
	status  int
	message string
}

// Error lets a Code be returned and be compared with errors.Is.
func (c Code) Error() string { return string(c) + ": " + c.Message() }

// Status is the HTTP status that goes with the code, 500 for one that is not of the table.
func (c Code) Status() int {
	if k, ok := codes[c]; ok {
		return k.status
	}
	return http.StatusInternalServerError
}

// Message is AWS's text for the code.
func (c Code) Message() string { return codes[c].message }

// Known says whether the code is of the table.
func (c Code) Known() bool { _, ok := codes[c]; return ok }
