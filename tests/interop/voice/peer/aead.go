package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"math/big"
	"math/bits"
)

func newAEAD(suite int, key []byte) cipher.AEAD {
	if suite == suiteX25519MLKEM768Cha {
		return newChaCha20Poly1305(key)
	}
	return must(cipher.NewGCM(must(aes.NewCipher(key))))
}

// chaCha20Poly1305 is RFC 8439, which Go's standard library does not offer.  It is slow and not in constant time: it
// serves a test.
type chaCha20Poly1305 struct{ key [8]uint32 }

func newChaCha20Poly1305(key []byte) cipher.AEAD {
	c := &chaCha20Poly1305{}
	for i := range c.key {
		c.key[i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	return c
}

func (*chaCha20Poly1305) NonceSize() int { return 12 }
func (*chaCha20Poly1305) Overhead() int  { return 16 }

func (c *chaCha20Poly1305) Seal(to, nonce, plaintext, additional []byte) []byte {
	ciphertext := c.xor(nonce, plaintext)
	return append(append(to, ciphertext...), c.tag(nonce, ciphertext, additional)...)
}

func (c *chaCha20Poly1305) Open(to, nonce, sealed, additional []byte) ([]byte, error) {
	if len(sealed) < 16 {
		return nil, errors.New("too short")
	}
	ciphertext, tag := sealed[:len(sealed)-16], sealed[len(sealed)-16:]
	if subtle.ConstantTimeCompare(tag, c.tag(nonce, ciphertext, additional)) != 1 {
		return nil, errors.New("wrong tag")
	}
	return append(to, c.xor(nonce, ciphertext)...), nil
}

// block is the block function of §2.3.
func (c *chaCha20Poly1305) block(counter uint32, nonce []byte) [64]byte {
	start := [16]uint32{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}
	copy(start[4:], c.key[:])
	start[12] = counter
	for i := range 3 {
		start[13+i] = binary.LittleEndian.Uint32(nonce[4*i:])
	}
	s := start
	turn := func(a, b, c, d int) {
		s[a] += s[b]
		s[d] = bits.RotateLeft32(s[d]^s[a], 16)
		s[c] += s[d]
		s[b] = bits.RotateLeft32(s[b]^s[c], 12)
		s[a] += s[b]
		s[d] = bits.RotateLeft32(s[d]^s[a], 8)
		s[c] += s[d]
		s[b] = bits.RotateLeft32(s[b]^s[c], 7)
	}
	for range 10 {
		for i := range 4 {
			turn(i, 4+i, 8+i, 12+i)
		}
		for i := range 4 {
			turn(i, 4+(i+1)%4, 8+(i+2)%4, 12+(i+3)%4)
		}
	}
	var out [64]byte
	for i := range s {
		binary.LittleEndian.PutUint32(out[4*i:], s[i]+start[i])
	}
	return out
}

func (c *chaCha20Poly1305) xor(nonce, in []byte) []byte {
	out := make([]byte, len(in))
	for i := 0; i < len(in); i += 64 {
		stream := c.block(uint32(1+i/64), nonce)
		subtle.XORBytes(out[i:], in[i:], stream[:])
	}
	return out
}

// tag is Poly1305 over what §2.8 lays out, with the one-time key of §2.6.
func (c *chaCha20Poly1305) tag(nonce, ciphertext, additional []byte) []byte {
	oneTime := c.block(0, nonce)
	lengths := binary.LittleEndian.AppendUint64(nil, uint64(len(additional)))
	lengths = binary.LittleEndian.AppendUint64(lengths, uint64(len(ciphertext)))
	return poly1305(oneTime[:32], join(toSixteen(additional), toSixteen(ciphertext), lengths))
}

func toSixteen(b []byte) []byte { return join(b, make([]byte, (16-len(b)%16)%16)) }

func poly1305(key, text []byte) []byte {
	clamp := little([]byte{255, 255, 255, 15, 252, 255, 255, 15, 252, 255, 255, 15, 252, 255, 255, 15})
	r := new(big.Int).And(little(key[:16]), clamp)
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 130), big.NewInt(5))
	sum := new(big.Int)
	for i := 0; i < len(text); i += 16 {
		sum.Add(sum, little(join(text[i:min(i+16, len(text))], []byte{1})))
		sum.Mod(sum.Mul(sum, r), p)
	}
	sum.Add(sum, little(key[16:]))
	sum.And(sum, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1)))
	return reversed(sum.FillBytes(make([]byte, 16)))
}

func little(b []byte) *big.Int { return new(big.Int).SetBytes(reversed(b)) }

func reversed(b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[len(b)-1-i] = b[i]
	}
	return out
}
