package main

import (
	"bytes"
	"encoding/binary"
	"time"
	"unicode/utf8"
)

// Voice certificates and Merkle proofs, protocol text §6: the client's checks.

var certificateShape = fields{
	1: mandatory, 2: mandatory, 3: mandatory, 4: mandatory, 5: mandatory, 6: optional, 7: mandatory, 8: mandatory,
	9: optional,
}

const (
	skew          = 5 * time.Minute
	longest       = 90 * 24 * time.Hour
	longestMemory = 24 * time.Hour // an Ed25519 key is one in memory
)

var (
	saysCertificate = []byte("sottovoce.v1 voice certificate\x00")
	saysVerify      = []byte("sottovoce.v1 server verify\x00")
	saysRekey       = []byte("sottovoce.v1 rekey verify\x00")
)

type certificate struct {
	raw         []byte
	signed      []byte // TLVs 1 to 7
	notBefore   time.Time
	notAfter    time.Time
	authorities []string
	classical   publicKey
	pq          *publicKey
	anchorID    [32]byte
	signature   []byte
	pqSignature []byte // nil without
}

func parseCertificate(raw []byte) (*certificate, error) {
	value, err := parseFields(raw, certificateShape, true)
	if err != nil {
		return nil, err
	}
	if len(value[1]) != 16 || len(value[2]) != 8 || len(value[3]) != 8 || len(value[7]) != 32 || len(value[4]) > 1_024 {
		return nil, fault(BadRecord, "a certificate's field of wrong length")
	}
	c := &certificate{
		raw: raw, notBefore: at(value[2]), notAfter: at(value[3]), anchorID: [32]byte(value[7]),
		signature: value[8], pqSignature: value[9],
	}
	c.signed = raw[:len(raw)-len(tlv(8, value[8]))]
	if value[9] != nil {
		c.signed = c.signed[:len(c.signed)-len(tlv(9, value[9]))]
	}
	r := &reader{rest: value[4]}
	for r.more() {
		name := r.take(r.u16())
		if !utf8.Valid(name) {
			return nil, fault(BadRecord, "an authority that is no UTF-8")
		}
		c.authorities = append(c.authorities, string(name))
	}
	if err := r.done("a list of authorities"); err != nil {
		return nil, err
	}
	if c.classical, err = parseKey(value[5], algP384, algEd25519); err != nil {
		return nil, err
	}
	if value[6] != nil {
		key, err := parseKey(value[6], algMLDSA44, algMLDSA65, algMLDSA87)
		if err != nil {
			return nil, err
		}
		c.pq = &key
	}
	return c, nil
}

func at(seconds []byte) time.Time {
	// Beyond what a clock shows, far in the future is as good as any other date there.
	return time.Unix(int64(min(binary.BigEndian.Uint64(seconds), 1<<40)), 0)
}

// trust is what a client checks a certificate against.
type trust struct {
	anchors []*anchor
	host    string
}

// check makes all the checks of the text; only an anchor of the same id is asked.
func (t *trust) check(c *certificate, now time.Time) error {
	var a *anchor
	for _, candidate := range t.anchors {
		if candidate.id() == c.anchorID {
			a = candidate
		}
	}
	switch {
	case a == nil:
		return fault(AuthFailed, "no anchor has the certificate's id")
	case (a.pq != nil && c.pq == nil) || (a.pq != nil) != (c.pqSignature != nil):
		return fault(AuthFailed, "the certificate's PQ parts do not fit the anchor")
	case !matches(t.host, c.authorities) || !matches(t.host, a.authorities):
		return fault(AuthFailed, "%s is not an authority of the certificate and the anchor", t.host)
	case c.notAfter.Sub(c.notBefore) > longest, !c.notAfter.After(c.notBefore),
		c.classical.alg == algEd25519 && c.notAfter.Sub(c.notBefore) > longestMemory:
		return fault(AuthFailed, "a certificate of a wrong lifetime")
	case !a.classical.verify(join(saysCertificate, c.signed), c.signature):
		return fault(AuthFailed, "the certificate's classical signature is wrong")
	case a.pq != nil && !a.pq.verify(join(saysCertificate, c.signed), c.pqSignature):
		return fault(AuthFailed, "the certificate's PQ signature is wrong")
	}
	return c.inDate(now)
}

func (c *certificate) inDate(now time.Time) error {
	if now.Add(skew).Before(c.notBefore) || now.Add(-skew).After(c.notAfter) {
		return fault(AuthFailed, "the certificate is not valid now")
	}
	return nil
}

// checkProof checks ServerVerify or RekeyVerify: the leaf's path, and both signatures of its root.
func (c *certificate) checkProof(m *message, says, leaf []byte) error {
	root, err := climb(leaf, m.value[1], m.value[2])
	if err != nil {
		return err
	}
	text := join(says, root)
	switch {
	case (c.pq != nil) != m.has(4):
		return fault(AuthFailed, "a PQ signature too many or too few")
	case !c.classical.verify(text, m.value[3]):
		return fault(AuthFailed, "the root's classical signature is wrong")
	case c.pq != nil && !c.pq.verify(text, m.value[4]):
		return fault(AuthFailed, "the root's PQ signature is wrong")
	}
	return nil
}

func verifyLeaf(toCertificate []byte) []byte { return hash([]byte{0}, toCertificate) }

func rekeyLeaf(th, certificate []byte) []byte { return hash([]byte{0}, th, hash(certificate)) }

func node(left, right []byte) []byte { return hash([]byte{1}, left, right) }

func climb(leaf, path, directions []byte) ([]byte, error) {
	if len(path)%48 != 0 || len(path)/48 != len(directions) || len(directions) > 16 ||
		len(bytes.Trim(directions, "\x00\x01")) > 0 {
		return nil, fault(BadRecord, "a wrong path")
	}
	for i, direction := range directions {
		sibling := path[48*i : 48*(i+1)]
		if direction == 0 {
			leaf = node(leaf, sibling)
		} else {
			leaf = node(sibling, leaf)
		}
	}
	return leaf, nil
}
