package main

import (
	"crypto/rand"
	"math/big"
	"time"
)

// The server's side of §6: voice certificates, and Merkle trees with leaves that stand for other sessions.

// issuing says what goes into a certificate; a test spoils single values.
type issuing struct {
	authorities []string
	from, until time.Time
	anchor      *pair
	serving     *pair
}

func (i issuing) issue() ([]byte, error) {
	serial := make([]byte, 16)
	rand.Read(serial)
	var names []byte
	for _, name := range i.authorities {
		names = append(names, withLength([]byte(name))...)
	}
	classical, pq := i.serving.keys()
	id := anchorID(i.anchor.keys())
	body := join(tlv(1, serial), tlv(2, u64(uint64(i.from.Unix()))), tlv(3, u64(uint64(i.until.Unix()))),
		tlv(4, names), tlv(5, classical.encoded()))
	if pq != nil {
		body = join(body, tlv(6, pq.encoded()))
	}
	body = join(body, tlv(7, id[:]))
	signature, pqSignature, err := i.anchor.sign(join(saysCertificate, body))
	if err != nil {
		return nil, err
	}
	body = join(body, tlv(8, signature))
	if pqSignature != nil {
		body = join(body, tlv(9, pqSignature))
	}
	return body, nil
}

// A proof is what ServerVerify and RekeyVerify have in common, as TLVs.
type proof struct{ path, directions, signature, pqSignature []byte }

func (p *proof) fields() []byte {
	body := join(tlv(1, p.path), tlv(2, p.directions), tlv(3, p.signature))
	if p.pqSignature != nil {
		body = join(body, tlv(4, p.pqSignature))
	}
	return body
}

// prove signs a root over the leaf, put somewhere among up to twelve others.
func prove(serving *pair, says, leaf []byte) (*proof, error) {
	leaves := make([][]byte, 1+below(12))
	for i := range leaves {
		leaves[i] = make([]byte, 48)
		rand.Read(leaves[i])
	}
	place := below(len(leaves))
	leaves[place] = leaf
	p := &proof{}
	root := p.climbFrom(leaves, place)
	var err error
	p.signature, p.pqSignature, err = serving.sign(join(says, root))
	return p, err
}

// climbFrom builds the tree level by level; a node without a neighbour goes up as it is.
func (p *proof) climbFrom(level [][]byte, place int) []byte {
	for len(level) > 1 {
		if sibling := place ^ 1; sibling < len(level) {
			p.path = append(p.path, level[sibling]...)
			p.directions = append(p.directions, byte(place&1))
		}
		var above [][]byte
		for i := 0; i < len(level); i += 2 {
			if i+1 == len(level) {
				above = append(above, level[i])
			} else {
				above = append(above, node(level[i], level[i+1]))
			}
		}
		level, place = above, place/2
	}
	return level[0]
}

func below(limit int) int { return int(must(rand.Int(rand.Reader, big.NewInt(int64(limit)))).Int64()) }
