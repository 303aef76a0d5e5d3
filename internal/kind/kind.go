// Package kind says what a type of resource is, once, so that everything generic
// (the API's standard methods, permissions, apply and diff, history, the feed, the
// edge's view) is written over this description and never over a particular kind.
//
// A kind has two sides that meet only in its full name: the control side (Kind),
// which admits desired state and turns it into published records, and the edge side
// (Service), which compiles published records into what a service answers from.
// All values here are immutable after the program's start.
package kind

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	statev1 "github.com/dark-ecosystem/dark/proto/dark/state/v1"
)

// Lane says how a change of a kind becomes active at an edge (design: feed.md).
type Lane uint8

const (
	// LaneNone: the kind never leaves the control plane.
	LaneNone Lane = iota
	// LaneData: active on arrival, compiled object by object.
	LaneData
	// LaneDeny: active on arrival, in a set that only grows until each entry expires.
	LaneDeny
	// LaneGated: delivered inert, activated by a Release. Refused until releases exist.
	LaneGated
)

func (l Lane) String() string {
	switch l {
	case LaneData:
		return "data"
	case LaneDeny:
		return "deny"
	case LaneGated:
		return "gated"
	}
	return "none"
}

// Scope says to whom a kind's resources belong.
type Scope uint8

const (
	// ScopeOrganization: each resource belongs to one organization.
	ScopeOrganization Scope = iota
	// ScopeInstallation: the resource belongs to the installation and its operators.
	ScopeInstallation
)

// Claim is a name that at most one resource of the installation may hold. It is
// checked in the state machine, inside the transaction that asks for it.
type Claim struct {
	// Space separates one family of names from another: "dns", "mail", "bucket".
	Space string
	// Name is the canonical name, a lower-case A-label name without the last dot
	// where Hierarchical, else any canonical text.
	Name string
	// Hierarchical: also refuse a name above or below one that another organization
	// holds, unless that one's Grants list the asking organization.
	Hierarchical bool
	// Grants lists organizations that may hold names above or below this one.
	Grants []string
}

// Violation is one thing wrong with one field of a resource.
type Violation struct {
	Field string // proto JSON path, such as spec.records[2]
	Text  string // fit for a customer
}

// Kind is the control side of a type of resource. Its message has the fields name,
// organization, labels, etag, revision, create_time, update_time, spec and, where the
// server has something to say, status (set by the server and not writable).
type Kind struct {
	// Message is an empty message of the kind, such as &dnsv1.Zone{}.
	Message proto.Message
	// Plural is used in commands, such as "zones".
	Plural string
	// Pattern of names, such as "zones/{zone}/records/{owner}/{type}".
	Pattern string
	// Service names the permission that guards it: "dns" for dns:read and dns:write.
	Service string
	Scope   Scope
	// Lane in which its published records become active, LaneNone if it has none.
	Lane Lane
	// NameRule returns the canonical form of the variables of a name, or says what is
	// wrong; nil accepts lower-case letters, digits and hyphens, 1 to 63 octets.
	NameRule func(ids []string) ([]string, error)
	// Locate returns the name under which a resource, or a parent's list (name ending in
	// "/"), is stored, where that is not the name itself, and what must still hold when
	// it is written there. nil stores under the name.
	Locate func(ctx context.Context, r Reader, organization, name string) (stored string, guard []*statev1.Precondition,
		err error)
	// Unlocate is the reverse of Locate; needed where Locate is set.
	Unlocate func(stored string) (name string)
	// Displaces names the resources that cannot stand beside the one that is written: where
	// a writer says so, they end in the same transaction. nil: there are none.
	Displaces func(ctx context.Context, r Reader, organization, stored string) (names []string, err error)
	// SecretFields are paths (proto names) never shown: "status.secret_hash".
	SecretFields []string
	// Admit judges a write and adds what the state machine must know; nil admits all
	// that the proto's constraints do.
	Admit func(ctx context.Context, a *Admission) error
	// Show completes a resource that is read, from published state and the like; nil for none.
	Show func(ctx context.Context, r Reader, m proto.Message) error
	// Publish emits the published records that follow from a change; nil for none. Where
	// they are too many for p.Room it emits none of them and returns a *Bulk, and is called
	// again when all pages are out.
	Publish func(ctx context.Context, p Publication, emit func(Record) error) error
	// Deny emits the records of the deny lane that follow from a change; nil for none. The
	// publisher calls it ahead of Publish, over all changes so far.
	Deny func(ctx context.Context, p Publication, emit func(Record) error) error
	// Page emits the next records of a bulk, as many as fit into p.Room; nil for none.
	Page func(ctx context.Context, p Page, emit func(Record) error) (Paged, error)
	// MaxRecord bounds the octets of one published record; 0 means DefaultRecord, and
	// MaxRecord is the most. Admit refuses what would make a larger one.
	MaxRecord int
	// Silent says of a change, by its name alone, that Publish has nothing to emit for it:
	// the publisher then reads neither Old nor New, which is what makes a large import
	// cheap. nil: no change is silent.
	Silent func(ctx context.Context, p Publication) (bool, error)
	// Columns of a table of such resources, beside its name.
	Columns []Column
	// ConfirmDelete: deleting one takes much with it, so that commands ask for --yes.
	ConfirmDelete bool
	// Gone says what is gone for good when one was deleted; a rollback that would make it
	// again is refused with that. Empty where making it again brings all of it back.
	Gone string
}

// Bounds of one published record's value, in octets: a frame and a transaction of the
// state machine must hold it.
const (
	DefaultRecord = 64 << 10
	MaxRecord     = 256 << 10
)

// RecordLimit is the most octets of one of the kind's published records.
func (k *Kind) RecordLimit() int {
	if k.MaxRecord == 0 {
		return DefaultRecord
	}
	return k.MaxRecord
}

// Column is one column of a table.
type Column struct {
	Title string // heading
	Path  string // proto JSON path, such as "spec.ttl"
}

// FullName is the kind's name in every list and store: its message's full name.
func (k *Kind) FullName() string { return string(k.Message.ProtoReflect().Descriptor().FullName()) }

// ShortName is the kind as documents write it, such as "Zone".
func (k *Kind) ShortName() string { return string(k.Message.ProtoReflect().Descriptor().Name()) }

// Shown is the name that people know a stored resource by.
func (k *Kind) Shown(stored string) string {
	if k.Unlocate != nil {
		if name := k.Unlocate(stored); name != "" {
			return name
		}
	}
	return stored
}

// Reader reads desired and published state at one revision.
type Reader interface {
	// Revision that is read at.
	Revision() uint64
	// Get returns the resource's message stored under a kind's full name, organization and
	// stored name, and the revision of its last change; nil and 0 when there is none.
	Get(ctx context.Context, kind, organization, stored string) (m proto.Message, revision uint64, err error)
	// List calls yield for each resource whose stored name begins with prefix, by name,
	// until it returns false.
	List(ctx context.Context, kind, organization, prefix string, yield func(stored string, m proto.Message) bool) error
	// Published returns the latest published record, whatever the revision; nil when there is none.
	Published(stream, kind, name string) ([]byte, error)
}

// Caller is who asks for a write.
type Caller struct {
	Who string // as in the audit: "key:ID", "socket:uid=0"
	// TrustedDomains: apexes need no proof of control (permission domains:trust, dev mode).
	TrustedDomains bool
}

// Admission is one write on its way into a transaction. Admit reads the first part and
// fills the second; it may also change New, which is then stored.
type Admission struct {
	Reader       Reader // sees what the same transaction wrote before
	Caller       Caller
	Organization string
	Name         string        // canonical, such as "zones/example.com"
	Stored       string        // as stored
	Old          proto.Message // nil when it is created
	New          proto.Message // nil when it is deleted
	Forced       bool          // it is deleted by name, with all that it holds
	Now          time.Time

	Violations    []Violation
	Claims        []Claim
	Preconditions []*statev1.Precondition
	Ops           []*statev1.Op // further changes in the same transaction
	// Reply, if set, completes the message that is returned, but not what is stored.
	Reply func(m proto.Message)
}

// Bad adds a violation.
func (a *Admission) Bad(field, format string, args ...any) {
	a.Violations = append(a.Violations, Violation{Field: field, Text: fmt.Sprintf(format, args...)})
}

// Publication is one changed resource on its way to the edges.
type Publication struct {
	// Before and After read the state before the first and after the last change that is
	// published together.
	Before, After Reader
	Organization  string
	Stored        string
	Old, New      proto.Message // nil where there was none, or is none any more
	Now           time.Time     // the publisher's time
	// Room is what one change may bring in one publication.
	Room Room
	// Paged reports whether all records of a generation below the resource went out in
	// pages; nil: none did.
	Paged func(generation uint64) bool
}

// Room bounds what goes into one publication.
type Room struct {
	Records int
	Bytes   int // of names and values
}

// Bulk is the error of a Publish that would emit too much for one publication: the
// records that are stored below its resource under a generation go out in pages first.
type Bulk struct {
	Generation uint64
	Anew       bool // pages that are out already say what is not so any more
}

func (b *Bulk) Error() string {
	return fmt.Sprintf("generation %d goes out in pages", b.Generation)
}

// Page asks for the next records of a bulk.
type Page struct {
	// Now reads the state that is published.
	Now Reader
	// List is Now's List, from the first stored name above after on.
	List func(kind, organization, prefix, after string, yield func(stored string, m proto.Message) bool) error
	// Meta reads a key of the state's own as it is now, which may be later than Now.
	Meta                 func(key string) (value []byte, revision uint64, err error)
	Organization, Stored string // the resource that the records will count for
	Generation           uint64
	After                string // as the last page ended; "" at first
	Room                 Room
}

// Paged is what became of a page.
type Paged struct {
	After string // where the next one goes on
	Done  bool   // that was the last
	// Gone: nothing will count under the generation any more. The records that the page
	// emitted then take back what earlier ones brought.
	Gone bool
}

// BulkKey is the key of the state under which a bulk of a resource is noted.
func BulkKey(kind, organization, stored string, generation uint64) string {
	return fmt.Sprintf("bulk/%s/%s/%s/%016x", kind, organization, stored, generation)
}

// AsideKey is the key of the state under which it is noted that a resource cannot be
// published as it is.
func AsideKey(kind, organization, stored string) string {
	return "aside/" + kind + "/" + organization + "/" + stored
}

// Record is one published record: what an edge needs of a resource.
type Record struct {
	Kind   string // full name of the published message's kind
	Stream string // the stream that carries it: "system", "role/edge", "org/NAME"
	Name   string // unique within the stream and kind
	Lane   Lane
	Value  []byte // marshalled published message; nil deletes the record
	Prefix bool   // with a nil Value: all records of the kind whose names begin with Name end
	// Expires is when a deny entry, or another record that says that a thing ended, may be
	// forgotten, Unix seconds; 0 otherwise.
	Expires int64
}

// recordCost is what a record has in a frame beside its name and value, at most.
const recordCost = 96

// Cost is the octets that the record takes of a publication's room.
func (r Record) Cost() int { return len(r.Name) + len(r.Value) + recordCost }

// Change is one published record as it reaches an edge.
type Change struct {
	Kind         string
	Organization string // empty for records of the installation
	Name         string
	Value        []byte // nil when the record was deleted
	Prefix       bool   // deleted: all records of the kind whose names begin with Name
	Revision     uint64
}

// Refusal is a change that an edge could not compile; its last good value stays.
type Refusal struct {
	Kind, Organization, Name string
	Revision                 uint64
	Reason                   string
}

// Service is the edge side: how one service turns published records into the
// immutable value that it answers from.
type Service struct {
	// Name is the service's folder under dataplane, such as "dns".
	Name string
	// Kinds are the full names of the published kinds that it reads.
	Kinds []string
	// Compile returns the value that follows prev (nil at first) after changes, in
	// order, sharing with prev what did not change. A change that cannot be compiled
	// is left out and returned as a Refusal; it never spoils the others.
	Compile func(prev any, changes []Change) (next any, refused []Refusal)
	// Swap publishes a compiled value; called by one goroutine only.
	Swap func(next any)
}
