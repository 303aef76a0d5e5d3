package store

import "fmt"

// Error says which op was refused and why.
func (r *Refused) Error() string {
	return fmt.Sprintf("refused: op %d: %s", r.Op, r.Reason)
}

// Is makes Gone an ErrGone.
func (r *Refused) Is(err error) bool { return r.Reason == Gone && err == ErrGone }

var reasons = [...]string{
	Precondition: "precondition failed",
	Missing:      "no such row",
	Changed:      "the row was changed meanwhile",
	QuotaBytes:   "the quota of bytes is used up",
	QuotaRows:    "the quota of rows is used up",
	Swept:        "the body was swept; write it again",
	Gone:         "a body that it takes was deleted meanwhile",
}

func (r Reason) String() string {
	if int(r) >= len(reasons) {
		return fmt.Sprintf("reason %d", uint8(r))
	}
	return reasons[r]
}

// Error names what is damaged.
func (d *Damaged) Error() string { return fmt.Sprintf("damaged: %s: %v", d.Name(), d.Err) }

// Name names what is damaged, for people.
func (d *Damaged) Name() string {
	if d.What == "" {
		return d.Thing.String()
	}
	return d.What
}

// Unwrap gives what the seal or the hash said.
func (d *Damaged) Unwrap() error { return d.Err }
