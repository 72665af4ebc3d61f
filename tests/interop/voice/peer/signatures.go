package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"math/big"
	"slices"
)

// Signatures by their TLS code points, protocol text §6.

const (
	algP384    = 0x0503
	algEd25519 = 0x0807
	algMLDSA44 = 0x0904
	algMLDSA65 = 0x0905
	algMLDSA87 = 0x0906
)

// A publicKey is `alg u16 || key`, taken apart.
type publicKey struct {
	alg int
	key []byte
}

func (k publicKey) encoded() []byte { return join(u16(k.alg), k.key) }

// parseKey takes a key that a certificate carries, when its algorithm is one of those.
func parseKey(b []byte, algs ...int) (publicKey, error) {
	alg, key, err := numbered(b)
	if err != nil {
		return publicKey{}, err
	}
	if !slices.Contains(algs, alg) {
		return publicKey{}, fault(BadRecord, "a key of an algorithm that has no place here: %04x", alg)
	}
	if !keyIsGood(alg, key) {
		return publicKey{}, fault(AuthFailed, "a key of algorithm %04x that is none", alg)
	}
	return publicKey{alg, key}, nil
}

func keyIsGood(alg int, key []byte) bool {
	switch alg {
	case algP384:
		_, err := ecdsa.ParseUncompressedPublicKey(elliptic.P384(), key)
		return err == nil
	case algEd25519:
		return len(key) == ed25519.PublicKeySize && !isSmallOrder(key)
	}
	set, known := mldsa[alg]
	return known && len(key) == set.keyBytes()
}

// verify takes `alg u16 || sig`: a signature's algorithm is its key's.
func (k publicKey) verify(text, signature []byte) bool {
	alg, sig, err := numbered(signature)
	return err == nil && alg == k.alg && verifySignature(alg, k.key, text, sig)
}

func verifySignature(alg int, key, text, signature []byte) bool {
	switch alg {
	case algP384:
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P384(), key)
		if err != nil || len(signature) != 96 {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:48]), new(big.Int).SetBytes(signature[48:])
		return ecdsa.Verify(public, hash(text), r, s) // which wants 1 ≤ r, s < n
	case algEd25519:
		return keyIsGood(alg, key) && ed25519.Verify(key, text, signature)
	}
	set, known := mldsa[alg]
	return known && verifyMLDSA(set, key, text, nil, signature)
}

// isSmallOrder tells the encodings whose y belongs to a point of order 1, 2, 4 or 8, the sign left aside, those of
// y ≥ p among them.
func isSmallOrder(key []byte) bool {
	y := slices.Clone(key)
	y[31] &= 0x7F
	return slices.Contains(smallOrder, hex.EncodeToString(y))
}

var smallOrder = []string{
	"0000000000000000000000000000000000000000000000000000000000000000", // order 4
	"0100000000000000000000000000000000000000000000000000000000000000", // order 1
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", // order 8
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", // order 8
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // order 2
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p + 1
}

// A pair is a classical key and, perhaps, an ML-DSA key beside it: an anchor's or a serving pair.
type pair struct {
	classical *ecdsa.PrivateKey
	pq        *signingKey
	pqAlg     int
}

// newPair makes fresh keys; pqAlg 0 leaves the second out.
func newPair(pqAlg int) (*pair, error) {
	private, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		return nil, err
	}
	p := &pair{classical: private, pqAlg: pqAlg}
	if pqAlg != 0 {
		seed := make([]byte, 32)
		rand.Read(seed)
		p.pq = newSigningKey(mldsa[pqAlg], seed)
	}
	return p, nil
}

func (p *pair) keys() (classical publicKey, pq *publicKey) {
	classical = publicKey{algP384, must(p.classical.PublicKey.Bytes())}
	if p.pq != nil {
		pq = &publicKey{p.pqAlg, p.pq.public}
	}
	return classical, pq
}

// sign gives both signatures with their algorithms, the second nil without a PQ key.
func (p *pair) sign(text []byte) (classical, pq []byte, err error) {
	r, s, err := ecdsa.Sign(rand.Reader, p.classical, hash(text))
	if err != nil {
		return nil, nil, err
	}
	classical = join(u16(algP384), r.FillBytes(make([]byte, 48)), s.FillBytes(make([]byte, 48)))
	if p.pq != nil {
		pq = join(u16(p.pqAlg), p.pq.sign(text))
	}
	return classical, pq, nil
}
