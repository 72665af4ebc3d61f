package main

import (
	"crypto/sha3"
	"math/bits"
)

// The ring and the encodings of FIPS 204, §7.  Coefficients stand between 0 and q-1 outside of a function.

type poly [n]int

func mod(x int) int {
	if x %= q; x < 0 {
		x += q
	}
	return x
}

// centred is x mod± q.
func centred(x int) int {
	if x > q/2 {
		return x - q
	}
	return x
}

func add(a, b poly) poly {
	for i := range a {
		a[i] = mod(a[i] + b[i])
	}
	return a
}

func subtract(a, b poly) poly {
	for i := range a {
		a[i] = mod(a[i] - b[i])
	}
	return a
}

// times is the product of two transformed polynomials.
func times(a, b poly) poly {
	for i := range a {
		a[i] = a[i] * b[i] % q
	}
	return a
}

// product is a row of a transformed matrix by a transformed vector.
func product(row, vector []poly) (sum poly) {
	for i := range row {
		sum = add(sum, times(row[i], vector[i]))
	}
	return sum
}

func (p *poly) norm() (largest int) {
	for _, x := range p {
		x = centred(x)
		largest = max(largest, x, -x)
	}
	return largest
}

// zetas are the powers of 1753 in the order of appendix B.
var zetas = func() (powers [n]int) {
	power := 1
	inOrder := [n]int{}
	for i := range inOrder {
		inOrder[i] = power
		power = power * 1753 % q
	}
	for i := range powers {
		powers[i] = inOrder[bits.Reverse8(uint8(i))]
	}
	return powers
}()

// transform is NTT (algorithm 41).
func transform(w poly) poly {
	m := 0
	for length := 128; length >= 1; length /= 2 {
		for start := 0; start < n; start += 2 * length {
			m++
			for j := start; j < start+length; j++ {
				t := zetas[m] * w[j+length] % q
				w[j+length] = mod(w[j] - t)
				w[j] = mod(w[j] + t)
			}
		}
	}
	return w
}

// inverse is NTT⁻¹ (algorithm 42).
func inverse(w poly) poly {
	m := n
	for length := 1; length < n; length *= 2 {
		for start := 0; start < n; start += 2 * length {
			m--
			for j := start; j < start+length; j++ {
				t := w[j]
				w[j] = mod(t + w[j+length])
				w[j+length] = mod((w[j+length] - t) * zetas[m])
			}
		}
	}
	for j := range w {
		w[j] = w[j] * 8_347_681 % q
	}
	return w
}

func transformAll(all []poly) []poly {
	out := make([]poly, len(all))
	for i := range all {
		out[i] = transform(all[i])
	}
	return out
}

// expandA is algorithm 32, with RejNTTPoly (30).
func expandA(p *parameterSet, rho []byte) [][]poly {
	a := make([][]poly, p.k)
	for r := range a {
		a[r] = make([]poly, p.l)
		for s := range a[r] {
			stream := sha3.NewSHAKE128()
			stream.Write(join(rho, []byte{byte(s), byte(r)}))
			var three [3]byte
			for j := 0; j < n; {
				stream.Read(three[:])
				if x := int(three[2]&0x7F)<<16 | int(three[1])<<8 | int(three[0]); x < q {
					a[r][s][j] = x
					j++
				}
			}
		}
	}
	return a
}

// expandS is algorithm 33, with RejBoundedPoly (31).
func expandS(p *parameterSet, seed []byte) (s1, s2 []poly) {
	all := make([]poly, p.l+p.k)
	for r := range all {
		stream := sha3.NewSHAKE256()
		stream.Write(join(seed, []byte{byte(r), 0}))
		var one [1]byte
		for j := 0; j < n; {
			stream.Read(one[:])
			for _, half := range []int{int(one[0] & 15), int(one[0] >> 4)} {
				switch {
				case j == n:
				case p.eta == 2 && half < 15:
					all[r][j] = mod(2 - half%5)
					j++
				case p.eta == 4 && half < 9:
					all[r][j] = mod(4 - half)
					j++
				}
			}
		}
	}
	return all[:p.l], all[p.l:]
}

// expandMask is algorithm 34.
func expandMask(p *parameterSet, seed []byte, kappa int) []poly {
	y := make([]poly, p.l)
	for r := range y {
		number := kappa + r
		y[r] = unpackSigned(shake256(p.zBytes(), seed, []byte{byte(number), byte(number >> 8)}), p.gamma1(), 1+p.gamma1Bits)
	}
	return y
}

// sampleInBall is algorithm 29.
func sampleInBall(p *parameterSet, seed []byte) (c poly) {
	stream := sha3.NewSHAKE256()
	stream.Write(seed)
	var signs [8]byte
	stream.Read(signs[:])
	var one [1]byte
	for i := n - p.tau; i < n; i++ {
		stream.Read(one[:])
		for int(one[0]) > i {
			stream.Read(one[:])
		}
		c[i] = c[one[0]]
		bit := i + p.tau - n
		c[one[0]] = mod(1 - 2*int(signs[bit/8]>>(bit%8)&1))
	}
	return c
}

// power2Round is algorithm 35; the low part stands modulo q.
func power2Round(r int) (high, low int) {
	low = r % (1 << dropped)
	if low > 1<<(dropped-1) {
		low -= 1 << dropped
	}
	return (r - low) >> dropped, mod(low)
}

// decompose is algorithm 36; the low part has its sign.
func (p *parameterSet) decompose(r int) (high, low int) {
	low = r % (2 * p.gamma2)
	if low > p.gamma2 {
		low -= 2 * p.gamma2
	}
	if r-low == q-1 {
		return 0, low - 1
	}
	return (r - low) / (2 * p.gamma2), low
}

// useHint is algorithm 40.
func (p *parameterSet) useHint(hint bool, r int) int {
	high, low := p.decompose(r)
	m := (q - 1) / (2 * p.gamma2)
	switch {
	case !hint:
		return high
	case low > 0:
		return (high + 1) % m
	}
	return (high - 1 + m) % m
}

func (p *parameterSet) highBits() int { return bits.Len(uint((q-1)/(2*p.gamma2) - 1)) }

// encodeHigh is w1Encode (algorithm 28) of the high parts.
func (p *parameterSet) encodeHigh(w []poly) (encoded []byte) {
	for i := range w {
		var high poly
		for j := range high {
			high[j], _ = p.decompose(w[i][j])
		}
		encoded = append(encoded, packBits(high[:], p.highBits())...)
	}
	return encoded
}

// packBits is SimpleBitPack (algorithm 16).
func packBits(values []int, width int) []byte {
	out := make([]byte, len(values)*width/8)
	for i, value := range values {
		for bit := range width {
			at := i*width + bit
			out[at/8] |= byte(value>>bit&1) << (at % 8)
		}
	}
	return out
}

func unpackBits(packed []byte, width int) []int {
	out := make([]int, len(packed)*8/width)
	for i := range out {
		for bit := range width {
			at := i*width + bit
			out[i] |= int(packed[at/8]>>(at%8)&1) << bit
		}
	}
	return out
}

// packSigned is BitPack (algorithm 17) for -top < x ≤ top.
func packSigned(p poly, top, width int) []byte {
	values := make([]int, n)
	for i := range p {
		values[i] = top - centred(p[i])
	}
	return packBits(values, width)
}

func unpackSigned(packed []byte, top, width int) (p poly) {
	for i, value := range unpackBits(packed, width) {
		p[i] = mod(top - value)
	}
	return p
}

// packHints is HintBitPack (algorithm 20).
func (p *parameterSet) packHints(hints [][n]bool) []byte {
	packed := make([]byte, p.omega+p.k)
	index := 0
	for i := range hints {
		for j, hint := range hints[i] {
			if hint {
				packed[index] = byte(j)
				index++
			}
		}
		packed[p.omega+i] = byte(index)
	}
	return packed
}

// unpackHints is HintBitUnpack (algorithm 21): each set of hints has one encoding.
func (p *parameterSet) unpackHints(packed []byte) ([][n]bool, bool) {
	hints := make([][n]bool, p.k)
	index := 0
	for i := range hints {
		end := int(packed[p.omega+i])
		if end < index || end > p.omega {
			return nil, false
		}
		for first := index; index < end; index++ {
			if index > first && packed[index-1] >= packed[index] {
				return nil, false
			}
			hints[i][packed[index]] = true
		}
	}
	for _, rest := range packed[index:p.omega] {
		if rest != 0 {
			return nil, false
		}
	}
	return hints, true
}
