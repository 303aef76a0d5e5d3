package segment

import (
	"encoding/hex"
	"testing"
)

// What was written once is read for ever: these stand as the first build wrote them.
const (
	oldExtent = "4441524b455854310100000003000000050000000000000030303030303030303030303030303031" +
		"010000000000000001000000000000000a000000000000000a000000000000006f704d181d130d57" +
		"00000000000000002e27fe463acef628610e3038e1186ee487cf"
	oldFile = "4441524b5345473101000000030000000500000000000000000010000000000001000000000000008817527ce8acf190"
)

func TestTheFormatStays(t *testing.T) {
	if got := hex.EncodeToString(anExtent(1, 10, 3, 5)[:HeaderSize+10]); got != oldExtent {
		t.Errorf("an extent is written as %s", got)
	}
	var b [page]byte
	identity{3, 5, 1 << 20, true}.put(b[:])
	if got := hex.EncodeToString(b[:fileHeader]); got != oldFile ||
		string(b[:fileHeader]) != string(b[fileCopy:][:fileHeader]) {
		t.Errorf("a file header is written as %s", got)
	}
	r := Ref{Generation: 5, Segment: 3, Page: 7, Sealed: 10}
	if got := hex.EncodeToString(r.Append(nil)); got != "03000000070000000a0000000500000000000000" {
		t.Errorf("a reference is written as %s", got)
	}
}
