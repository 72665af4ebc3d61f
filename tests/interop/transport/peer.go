// A TLS peer made of Go's standard library.  It prints one JSON object about the connection it had.
//
//	peer client ADDRESS CA_FILE [classical]   connect, say "hello", read to the end
//	peer server [classical]                   print {port, ca}, take one connection, send back what comes, once

// Built without a module, Go would behave as it did before it had ML-KEM.
//
//go:debug default=go1.25
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"time"
)

type report struct {
	Error    string `json:"error"`
	Version  string `json:"version"`
	Group    string `json:"group"`
	Cipher   string `json:"cipher"`
	Protocol string `json:"protocol"`
	Exporter string `json:"exporter"`
	Heard    string `json:"heard"`
}

func say(value any) {
	if err := json.NewEncoder(os.Stdout).Encode(value); err != nil {
		os.Exit(2)
	}
}

func must(err error) {
	if err != nil {
		say(report{Error: err.Error()})
		os.Exit(1)
	}
}

func settings(classical bool) *tls.Config {
	config := &tls.Config{NextProtos: []string{"http/1.1"}}
	if classical {
		config.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP256}
	}
	return config
}

func describe(connection *tls.Conn, heard []byte) report {
	state := connection.ConnectionState()
	exporter, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	must(err)
	return report{
		Version:  tls.VersionName(state.Version),
		Group:    state.CurveID.String(),
		Cipher:   tls.CipherSuiteName(state.CipherSuite),
		Protocol: state.NegotiatedProtocol,
		Exporter: hex.EncodeToString(exporter),
		Heard:    string(heard),
	}
}

func client(address, caFile string, classical bool) {
	pemText, err := os.ReadFile(caFile)
	must(err)
	config := settings(classical)
	config.ServerName = "localhost"
	config.RootCAs = x509.NewCertPool()
	config.RootCAs.AppendCertsFromPEM(pemText)
	connection, err := tls.Dial("tcp", address, config)
	must(err)
	_, err = connection.Write([]byte("hello\r\n\r\n"))
	must(err)
	heard, err := io.ReadAll(connection)
	must(err)
	say(describe(connection, heard))
}

func server(classical bool) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "Go peer"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		DNSNames:              []string{"localhost"},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(err)
	config := settings(classical)
	config.Certificates = []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	must(err)
	say(map[string]any{
		"port": listener.Addr().(*net.TCPAddr).Port,
		"ca":   string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
	})
	accepted, err := listener.Accept()
	must(err)
	connection := accepted.(*tls.Conn)
	heard := make([]byte, 1024)
	count, err := connection.Read(heard)
	must(err)
	_, err = connection.Write(heard[:count])
	must(err)
	must(connection.Close())
	say(describe(connection, heard[:count]))
}

func main() {
	classical := os.Args[len(os.Args)-1] == "classical"
	if os.Args[1] == "client" {
		client(os.Args[2], os.Args[3], classical)
	} else {
		server(classical)
	}
}
