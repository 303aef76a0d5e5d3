package zones

// SetSortMemory makes a sorter spill early.
func (t *Transfers) SetSortMemory(n int) { t.sortMemory = n }

// NextSerial is nextSerial.
var NextSerial = nextSerial
