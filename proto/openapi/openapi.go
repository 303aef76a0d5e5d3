// Package openapi holds the OpenAPI documents that are generated from the protos, one
// for each file of services. It has no state.
package openapi

import "embed"

// Files are the documents, as dark/X/v1/*.openapi.json.
//
//go:embed dark
var Files embed.FS
