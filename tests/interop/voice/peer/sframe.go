package main

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha512"
	"encoding/binary"
)

// Records after the handshake, RFC 9605 as protocol text §8 uses it, and the rules of an ordered carrier, §7.

const (
	maxRecord      = 16_384
	maxMediaRecord = 8_192
	tagBytes       = 16
)

// A chain is one direction's keys: a base key of an epoch, ratcheted through generations.
type chain struct {
	suite      int
	epoch      uint32
	limit      uint64
	generation uint64
	counter    uint64
	base       []byte
	resumption []byte // res[e], which a ticket in a record under these keys stands for
	aead       cipher.AEAD
	salt       []byte
}

func newChain(suite int, epoch uint32, base []byte, limit uint64) *chain {
	c := &chain{suite: suite, epoch: epoch, limit: limit}
	c.install(base)
	return c
}

func (c *chain) kid() uint64 { return uint64(c.epoch)<<4 | c.generation%16 }

func (c *chain) install(base []byte) {
	number := 5
	if c.suite == suiteX25519MLKEM768Cha {
		number = 0xF001
	}
	c.base = base
	secret := must(hkdf.Extract(sha512.New, base, nil))
	context := string(join(u64(c.kid()), u16(number)))
	c.aead = newAEAD(c.suite, must(hkdf.Expand(sha512.New, secret, "SFrame 1.0 Secret key "+context, 32)))
	c.salt = must(hkdf.Expand(sha512.New, secret, "SFrame 1.0 Secret salt "+context, 12))
}

// ready gives the chain as the next record has it: itself, or one generation on.
func (c *chain) ready() *chain {
	if c.counter < c.limit {
		return c
	}
	secret := must(hkdf.Extract(sha512.New, c.base, nil))
	next := &chain{suite: c.suite, epoch: c.epoch, limit: c.limit, generation: c.generation + 1, resumption: c.resumption}
	next.install(must(hkdf.Expand(sha512.New, secret, "SFrame 1.0 Ratchet", 64)))
	return next
}

func (c *chain) nonce(counter uint64) []byte {
	nonce := append([]byte(nil), c.salt...)
	low := binary.BigEndian.Uint64(nonce[4:])
	binary.BigEndian.PutUint64(nonce[4:], low^counter)
	return nonce
}

// seal gives a record and the chain behind it.
func (c *chain) seal(plaintext []byte) ([]byte, *chain) {
	c = c.ready()
	record := c.sealAs(c.counter, plaintext)
	c.counter++
	return record, c
}

func (c *chain) sealAs(counter uint64, plaintext []byte) []byte {
	header := sframeHeader(c.kid(), counter)
	return c.aead.Seal(header, c.nonce(counter), plaintext, header)
}

// open checks in the order of the text, and gives the chain behind the record only when the tag was right.
func (c *chain) open(record []byte) ([]byte, *chain, error) {
	kid, counter, size, err := parseHeader(record)
	if err != nil {
		return nil, c, err
	}
	if counter >= c.limit {
		return nil, c, fault(KeyLimit, "counter %d", counter)
	}
	next := c.ready()
	if kid != next.kid() || counter != next.counter {
		return nil, c, fault(ReplayOrGap, "%x/%d where %x/%d comes next", kid, counter, next.kid(), next.counter)
	}
	plaintext, err := next.aead.Open(nil, next.nonce(counter), record[size:], record[:size])
	if err != nil {
		return nil, c, fault(DecryptFailed, "wrong tag")
	}
	next.counter++
	return plaintext, next, nil
}

// sframeHeader is RFC 9605 §4.3 with each number in the fewest bytes.
func sframeHeader(kid, counter uint64) []byte {
	k, kBytes := shortest(kid)
	c, cBytes := shortest(counter)
	return join([]byte{k<<4 | c}, kBytes, cBytes)
}

func shortest(n uint64) (byte, []byte) {
	if n < 8 {
		return byte(n), nil
	}
	b := u64(n)
	for b[0] == 0 {
		b = b[1:]
	}
	return 8 | byte(len(b)-1), b
}

func parseHeader(record []byte) (kid, counter uint64, size int, err error) {
	if len(record) > maxRecord {
		return 0, 0, 0, fault(TooLarge, "a record of %d bytes", len(record))
	}
	if len(record) == 0 || record[0] < 0x80 {
		return 0, 0, 0, fault(BadRecord, "not an SFrame record")
	}
	r := &reader{rest: record}
	first := byte(r.u8())
	kid = number(r, first>>4)
	counter = number(r, first&15)
	size = len(record) - len(r.rest)
	if r.bad || len(r.rest) < tagBytes {
		return 0, 0, 0, fault(BadRecord, "a record shorter than header and tag")
	}
	if string(sframeHeader(kid, counter)) != string(record[:size]) {
		return 0, 0, 0, fault(BadRecord, "a header that is not minimal")
	}
	return kid, counter, size, nil
}

func number(r *reader, nibble byte) uint64 {
	if nibble < 8 {
		return uint64(nibble)
	}
	var n uint64
	for _, b := range r.take(int(nibble&7) + 1) {
		n = n<<8 | uint64(b)
	}
	return n
}
