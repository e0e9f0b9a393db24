package incr

// queue is a heap of (height, node): the lowest height first, then the lowest
// node id. An entry whose node has meanwhile another height, or is clean, is
// skipped when it is popped, so nothing is ever removed from the middle.
type queue struct{ h []uint64 }

func entry(height int32, id uint32) uint64 { return uint64(height)<<32 | uint64(id) }

func (q *queue) push(height int32, id uint32) {
	q.h = append(q.h, entry(height, id))
	i := len(q.h) - 1
	for i > 0 {
		p := (i - 1) / 4
		if q.h[p] <= q.h[i] {
			return
		}
		q.h[p], q.h[i] = q.h[i], q.h[p]
		i = p
	}
}

func (q *queue) peek() (height int32, id uint32, ok bool) {
	if len(q.h) == 0 {
		return 0, 0, false
	}
	return int32(q.h[0] >> 32), uint32(q.h[0]), true
}

func (q *queue) pop() {
	n := len(q.h) - 1
	q.h[0] = q.h[n]
	q.h = q.h[:n]
	i := 0
	for {
		least := i
		for c := 4*i + 1; c <= 4*i+4 && c < n; c++ {
			if q.h[c] < q.h[least] {
				least = c
			}
		}
		if least == i {
			break
		}
		q.h[i], q.h[least] = q.h[least], q.h[i]
		i = least
	}
	if n == 0 && cap(q.h) > 4096 {
		q.h = nil
	}
}
