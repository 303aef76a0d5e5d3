package suggest

import "testing"

func TestNearest(t *testing.T) {
	kinds := []string{"Zone", "RecordSet", "ApiKey", "Organization", "Node"}
	for word, want := range map[string]string{
		"zome": "Zone", "Zoen": "Zone", "recordset": "RecordSet", "RecordSte": "RecordSet", "org": "Organization",
		"apikye": "ApiKey", "nod": "Node", "bucket": "", "": "", "x": "",
	} {
		if got := Nearest(word, kinds); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
	if got := Mean("zon", kinds); got != "; did you mean Zone?" {
		t.Error(got)
	}
}
