package state

// maxBatch bounds the transactions of one entry.
const maxBatch = 1024

// turns holds transactions that wait, by organization, and takes them in turn, so that
// one that writes much does not keep the others waiting.
type turns struct {
	waiting map[string][]*pending
	order   []string // organizations that have something waiting, next first
}

func newTurns() *turns { return &turns{waiting: map[string][]*pending{}} }

func (t *turns) add(p *pending) {
	org := p.tx.Organization
	if len(t.waiting[org]) == 0 {
		t.order = append(t.order, org)
	}
	t.waiting[org] = append(t.waiting[org], p)
}

func (t *turns) empty() bool { return len(t.order) == 0 }

// take removes as many as fit into one entry of at most limit bytes.
func (t *turns) take(limit int) []*pending {
	var batch []*pending
	size := 0
	for len(t.order) > 0 && len(batch) < maxBatch {
		org := t.order[0]
		p := t.waiting[org][0]
		// 16 bytes are more than an entry adds to a transaction.
		if size += p.size + 16; size > limit && len(batch) > 0 {
			break
		}
		batch = append(batch, p)
		t.order = t.order[1:]
		if t.waiting[org] = t.waiting[org][1:]; len(t.waiting[org]) > 0 {
			t.order = append(t.order, org)
		} else {
			delete(t.waiting, org)
		}
	}
	return batch
}
