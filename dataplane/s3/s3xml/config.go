package s3xml

import (
	"strings"

	storagev1 "github.com/dark-ecosystem/dark/proto/dark/storage/v1"
)

// AppendCORS appends the document of GetBucketCors.
func AppendCORS(b []byte, rules []*storagev1.CorsRule) []byte {
	w := writer{b}
	w.root("CORSConfiguration")
	for _, r := range rules {
		w.open("CORSRule")
		w.optional("ID", r.GetId())
		w.texts("AllowedMethod", r.GetAllowedMethods())
		w.texts("AllowedOrigin", r.GetAllowedOrigins())
		w.texts("AllowedHeader", r.GetAllowedHeaders())
		w.texts("ExposeHeader", r.GetExposeHeaders())
		if r.GetMaxAgeSeconds() > 0 {
			w.integer("MaxAgeSeconds", int64(r.GetMaxAgeSeconds()))
		}
		w.close("CORSRule")
	}
	w.close("CORSConfiguration")
	return w.b
}

func (w *writer) texts(name string, values []string) {
	for _, v := range values {
		w.text(name, v)
	}
}

// AppendLifecycle appends the document of GetBucketLifecycleConfiguration.
func AppendLifecycle(b []byte, rules []*storagev1.LifecycleRule) []byte {
	w := writer{b}
	w.root("LifecycleConfiguration")
	for _, r := range rules {
		w.lifecycleRule(r)
	}
	w.close("LifecycleConfiguration")
	return w.b
}

func (w *writer) lifecycleRule(r *storagev1.LifecycleRule) {
	w.open("Rule")
	w.optional("ID", r.GetId())
	if r.GetLegacyPrefix() {
		w.text("Prefix", r.GetPrefix())
	} else {
		w.lifecycleFilter(r)
	}
	status := "Disabled"
	if r.GetEnabled() {
		status = "Enabled"
	}
	w.text("Status", status)
	w.lifecycleActions(r)
	w.close("Rule")
}

// lifecycleFilter writes one condition alone, several in And, none as an empty prefix.
func (w *writer) lifecycleFilter(r *storagev1.LifecycleRule) {
	conditions := len(r.GetTags())
	for _, has := range []bool{r.GetPrefix() != "", r.GetSizeGreaterThan() > 0, r.GetSizeLessThan() > 0} {
		if has {
			conditions++
		}
	}
	w.open("Filter")
	if conditions > 1 {
		w.open("And")
	}
	if r.GetPrefix() != "" || conditions == 0 {
		w.text("Prefix", r.GetPrefix())
	}
	for _, k := range sortedKeys(r.GetTags()) {
		w.tag(k, r.GetTags()[k])
	}
	w.size("ObjectSizeGreaterThan", r.GetSizeGreaterThan())
	w.size("ObjectSizeLessThan", r.GetSizeLessThan())
	if conditions > 1 {
		w.close("And")
	}
	w.close("Filter")
}

// size writes a bound; the parser let none in that is beyond 63 bits.
func (w *writer) size(name string, n uint64) {
	if n > 0 {
		w.integer(name, int64(n))
	}
}

func (w *writer) lifecycleActions(r *storagev1.LifecycleRule) {
	w.lifecycleExpiration(r)
	if r.GetNoncurrentDays() > 0 {
		w.open("NoncurrentVersionExpiration")
		w.integer("NoncurrentDays", int64(r.GetNoncurrentDays()))
		w.size("NewerNoncurrentVersions", uint64(r.GetNewerNoncurrentVersions()))
		w.close("NoncurrentVersionExpiration")
	}
	if r.GetAbortUploadDays() > 0 {
		w.open("AbortIncompleteMultipartUpload")
		w.integer("DaysAfterInitiation", int64(r.GetAbortUploadDays()))
		w.close("AbortIncompleteMultipartUpload")
	}
}

func (w *writer) lifecycleExpiration(r *storagev1.LifecycleRule) {
	if r.GetExpireDays() == 0 && r.GetExpireDate() == nil && !r.GetExpireDeleteMarkers() {
		return
	}
	w.open("Expiration")
	if r.GetExpireDays() > 0 {
		w.integer("Days", int64(r.GetExpireDays()))
	}
	if r.GetExpireDate() != nil {
		w.time("Date", r.GetExpireDate().AsTime())
	}
	if r.GetExpireDeleteMarkers() {
		w.boolean("ExpiredObjectDeleteMarker", true)
	}
	w.close("Expiration")
}

// URIs of the groups that a grant can name.
const (
	AllUsers           = "http://acs.amazonaws.com/groups/global/AllUsers"
	AuthenticatedUsers = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
	LogDelivery        = "http://acs.amazonaws.com/groups/s3/LogDelivery"
)

// IsGroup says whether a grantee is the URI of a group rather than a canonical user ID.
func IsGroup(grantee string) bool { return strings.Contains(grantee, "://") }

var permissions = map[storagev1.Grant_Permission]string{
	storagev1.Grant_PERMISSION_FULL_CONTROL: "FULL_CONTROL",
	storagev1.Grant_PERMISSION_WRITE:        "WRITE",
	storagev1.Grant_PERMISSION_WRITE_ACP:    "WRITE_ACP",
	storagev1.Grant_PERMISSION_READ:         "READ",
	storagev1.Grant_PERMISSION_READ_ACP:     "READ_ACP",
}

// AppendACL appends the document of GetBucketAcl and GetObjectAcl. Display gives the name
// shown for a canonical user ID; nil shows none.
func AppendACL(b []byte, owner Owner, grants []*storagev1.Grant, display func(id string) string) []byte {
	w := writer{b}
	w.root("AccessControlPolicy")
	w.owner("Owner", &owner)
	w.open("AccessControlList")
	for _, g := range grants {
		w.open("Grant")
		w.grantee(g.GetGrantee(), owner, display)
		w.text("Permission", permissions[g.GetPermission()])
		w.close("Grant")
	}
	w.close("AccessControlList")
	w.close("AccessControlPolicy")
	return w.b
}

func (w *writer) grantee(id string, owner Owner, display func(string) string) {
	if IsGroup(id) {
		w.b = append(w.b, `<Grantee xmlns:xsi="`+xsi+`" xsi:type="Group">`...)
		w.text("URI", id)
		w.close("Grantee")
		return
	}
	w.b = append(w.b, `<Grantee xmlns:xsi="`+xsi+`" xsi:type="CanonicalUser">`...)
	w.text("ID", id)
	switch {
	case id == owner.ID:
		w.optional("DisplayName", owner.DisplayName)
	case display != nil:
		w.optional("DisplayName", display(id))
	}
	w.close("Grantee")
}
