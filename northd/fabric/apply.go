package fabric

// apply makes a batch the desired state. bodies, items and groups are what the changes
// hold, nil where they take something back. It returns the streams that have
// something to send.
func (z *zone) apply(b *Batch, bodies, items, groups []*item) []*stream {
	z.batches++
	for _, it := range bodies {
		if it != nil {
			z.putBody(it)
		}
	}
	for _, info := range b.Chassis {
		z.putChassis(info)
	}
	for i := range b.HAGroups {
		z.putHAGroup(&b.HAGroups[i], groups[i])
	}
	for i := range b.Items {
		z.putItem(&b.Items[i], items[i])
	}
	for _, binding := range b.Bindings {
		z.bind(binding)
	}
	for p := range z.unsettled {
		z.settle(p)
	}
	for i, ch := range b.Bodies {
		if bodies[i] == nil {
			delete(z.bodies, bodyKey(ch.Hash))
		}
	}
	for _, l := range b.Links {
		z.link(l)
	}
	for c := range z.moved {
		z.relocate(c)
	}
	for _, c := range z.touched {
		z.publish(c)
	}
	if z.revision = max(z.revision, b.Revision); z.nbCfg != b.NbCfg {
		z.nbCfg = b.NbCfg
		for _, c := range z.chassis {
			z.mark(c, 0)
		}
	}
	for _, binding := range b.Bindings {
		if c := z.chassis[binding.Chassis]; c != nil && !binding.Up {
			c.awaited = z.revision
			z.mark(c, 0)
		}
	}
	for d := range z.visited {
		if d.ports == 0 && len(d.own) == 0 && len(d.localTo) == 0 && len(d.links) == 0 && d.all.items.len() == 0 && len(d.all.refs) == 0 {
			delete(z.datapaths, d.key)
		}
	}
	for c := range z.moved {
		z.forget(c)
	}
	awake := z.awake
	z.touched, z.awake = z.touched[:0], nil
	clear(z.unsettled)
	clear(z.moved)
	clear(z.visited)
	return awake
}

// publish makes what changed in a cell its group and wakes who has to send it.
func (z *zone) publish(c *cell) {
	z.seq++
	changed := c.publish(z.seq, z.logKeys)
	d := c.datapath
	if c.chassis == "" {
		if changed {
			for _, ch := range d.localTo {
				z.mark(ch, d.key)
			}
		}
		return
	}
	if c.items.len() == 0 && len(c.refs) == 0 && d.own[c.chassis] == c {
		delete(d.own, c.chassis)
	}
	if ch := z.chassis[c.chassis]; changed && ch != nil {
		z.mark(ch, d.key)
	}
}

// mark notes that a stream has to look at a datapath; 0 stands for nb_cfg
// and for an acknowledgement that is awaited.
func (z *zone) mark(c *chassis, datapath uint32) {
	st := c.session.stream
	if st == nil {
		return
	}
	if datapath != 0 {
		st.dirty[datapath] = struct{}{}
	}
	if st.marked != z.batches {
		st.marked = z.batches
		st.backlog++
		z.awake = append(z.awake, st)
	}
}

// localNow is what a chassis has to have of a datapath; here tells whether it
// is local at all.
func (z *zone) localNow(c *chassis, datapath uint32) (l local, here bool) {
	if _, here = c.local[datapath]; !here {
		return noLocal, false
	}
	d := z.datapaths[datapath]
	l = local{all: d.all.group, own: empty}
	if own := d.own[c.name]; own != nil {
		l.own = own.group
	}
	return l, true
}
