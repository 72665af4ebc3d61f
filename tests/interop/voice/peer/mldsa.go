package main

import (
	"bytes"
	"crypto/rand"
	"crypto/sha3"
)

// ML-DSA, FIPS 204, written down from its algorithms (their numbers stand beside the functions).  Go's standard
// library has none that can be imported.  Clear rather than quick, and not in constant time: it serves a test.

const (
	q       = 8_380_417
	dropped = 13 // d
	n       = 256
)

// A parameterSet is a column of FIPS 204, table 1.
type parameterSet struct {
	k, l, eta, tau int
	challenge      int // λ/4, bytes
	gamma1Bits     int
	gamma2         int
	omega          int
}

func (p *parameterSet) gamma1() int        { return 1 << p.gamma1Bits }
func (p *parameterSet) beta() int          { return p.tau * p.eta }
func (p *parameterSet) zBytes() int        { return 32 * (1 + p.gamma1Bits) }
func (p *parameterSet) keyBytes() int      { return 32 + 320*p.k }
func (p *parameterSet) signatureSize() int { return p.challenge + p.l*p.zBytes() + p.omega + p.k }

var mldsa = map[int]*parameterSet{
	0x0904: {4, 4, 2, 39, 32, 17, (q - 1) / 88, 80},
	0x0905: {6, 5, 4, 49, 48, 19, (q - 1) / 32, 55},
	0x0906: {8, 7, 2, 60, 64, 19, (q - 1) / 32, 75},
}

// A signingKey keeps its polynomials: it lives and ends with the process.
type signingKey struct {
	set        *parameterSet
	public     []byte
	a          [][]poly
	key, tr    []byte
	s1, s2, t0 []poly // transformed (NTT)
}

func shake256(size int, parts ...[]byte) []byte { return sha3.SumSHAKE256(join(parts...), size) }

// newSigningKey is ML-DSA.KeyGen_internal (algorithm 6).
func newSigningKey(p *parameterSet, seed []byte) *signingKey {
	expanded := shake256(128, seed, []byte{byte(p.k), byte(p.l)})
	rho, rhoPrime, key := expanded[:32], expanded[32:96], expanded[96:]
	a := expandA(p, rho)
	s1, s2 := expandS(p, rhoPrime)
	transformed := transformAll(s1)
	public := rho
	t0 := make([]poly, p.k)
	for i := range p.k {
		t := add(inverse(product(a[i], transformed)), s2[i])
		var t1 poly
		for j := range t {
			t1[j], t0[i][j] = power2Round(t[j])
		}
		public = append(public[:len(public):len(public)], packBits(t1[:], 10)...)
	}
	return &signingKey{
		p, public, a, key, shake256(64, public), transformed, transformAll(s2), transformAll(t0),
	}
}

// sign is ML-DSA.Sign (algorithms 2 and 7), hedged, with an empty context.
func (s *signingKey) sign(text []byte) []byte {
	p := s.set
	random := make([]byte, 32)
	rand.Read(random)
	mu := shake256(64, s.tr, []byte{0, 0}, text)
	seed := shake256(64, s.key, random, mu)
	for kappa := 0; ; kappa += p.l {
		y := expandMask(p, seed, kappa)
		yTransformed := transformAll(y)
		w := make([]poly, p.k)
		for i := range w {
			w[i] = inverse(product(s.a[i], yTransformed))
		}
		challenge := shake256(p.challenge, mu, p.encodeHigh(w))
		if rest := s.respond(challenge, y, w); rest != nil {
			return join(challenge, rest)
		}
	}
}

// respond is a round's second half: z and the hints, nil when the round is rejected.
func (s *signingKey) respond(challenge []byte, y, w []poly) []byte {
	p := s.set
	c := transform(sampleInBall(p, challenge))
	var packed []byte
	for i := range p.l {
		z := add(y[i], inverse(times(c, s.s1[i])))
		if z.norm() >= p.gamma1()-p.beta() {
			return nil
		}
		packed = append(packed, packSigned(z, p.gamma1(), 1+p.gamma1Bits)...)
	}
	hints := make([][n]bool, p.k)
	count := 0
	for i := range p.k {
		rest := subtract(w[i], inverse(times(c, s.s2[i])))
		low := inverse(times(c, s.t0[i]))
		if low.norm() >= p.gamma2 {
			return nil
		}
		for j := range n {
			_, r0 := p.decompose(rest[j])
			if max(r0, -r0) >= p.gamma2-p.beta() {
				return nil
			}
			before, _ := p.decompose(mod(rest[j] + low[j]))
			after, _ := p.decompose(rest[j])
			if hints[i][j] = before != after; hints[i][j] {
				count++
			}
		}
	}
	if count > p.omega {
		return nil
	}
	return append(packed, p.packHints(hints)...)
}

// verifyMLDSA is ML-DSA.Verify (algorithms 3 and 8).
func verifyMLDSA(p *parameterSet, public, text, context, signature []byte) bool {
	if len(public) != p.keyBytes() || len(signature) != p.signatureSize() || len(context) > 255 {
		return false
	}
	challenge, rest := signature[:p.challenge], signature[p.challenge:]
	z := make([]poly, p.l)
	for i := range z {
		z[i] = unpackSigned(rest[:p.zBytes()], p.gamma1(), 1+p.gamma1Bits)
		rest = rest[p.zBytes():]
		if z[i].norm() >= p.gamma1()-p.beta() {
			return false
		}
	}
	hints, right := p.unpackHints(rest)
	if !right {
		return false
	}
	mu := shake256(64, shake256(64, public), []byte{0, byte(len(context))}, context, text)
	a := expandA(p, public[:32])
	c := transform(sampleInBall(p, challenge))
	zTransformed := transformAll(z)
	var high []byte
	for i := range p.k {
		var t poly
		for j, value := range unpackBits(public[32+320*i:32+320*(i+1)], 10) {
			t[j] = mod(value << dropped)
		}
		w := inverse(subtract(product(a[i], zTransformed), times(c, transform(t))))
		for j := range w {
			w[j] = p.useHint(hints[i][j], w[j])
		}
		high = append(high, packBits(w[:], p.highBits())...)
	}
	return bytes.Equal(challenge, shake256(p.challenge, mu, high))
}
