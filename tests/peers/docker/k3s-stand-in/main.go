// STAND-IN: this is not k3s. It stands where k3s stands in an image, for a machine that cannot pull k3s: it
// runs upstream etcd, kube-apiserver and kube-controller-manager from /bin and writes the kubeconfig where
// k3s does. There is no kubelet and no scheduler: no pod ever runs. Arguments are ignored.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const (
	data       = "/var/lib/stand-in"
	kubeconfig = "/etc/rancher/k3s/k3s.yaml"
	server     = "https://127.0.0.1:6443"
	issuer     = "https://kubernetes.default.svc.cluster.local"
)

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, "k3s stand-in:", err)
		os.Exit(1)
	}
	return value
}

func at(name string) string { return filepath.Join(data, name) }

func write(path string, content []byte) {
	must(0, os.MkdirAll(filepath.Dir(path), 0o755))
	must(0, os.WriteFile(path, content, 0o600))
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	serial      int64
}

// issue writes NAME.crt and NAME.key; with no authority yet, a self-signed one.
func (a *authority) issue(name string, template x509.Certificate) (cert, key []byte) {
	private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	a.serial++
	template.SerialNumber = big.NewInt(a.serial)
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().AddDate(10, 0, 0)
	parent, signer := a.certificate, a.key
	if parent == nil {
		parent, signer = &template, private
	}
	der := must(x509.CreateCertificate(rand.Reader, &template, parent, &private.PublicKey, signer))
	if a.certificate == nil {
		a.certificate, a.key = must(x509.ParseCertificate(der)), private
	}
	cert = block("CERTIFICATE", der)
	key = block("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(private)))
	write(at(name+".crt"), cert)
	write(at(name+".key"), key)
	return cert, key
}

func config(ca, cert, key []byte) []byte {
	b64 := base64.StdEncoding.EncodeToString
	// The server's URL is unquoted, as in k3s' own file: Testcontainers rewrites it by a pattern.
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters:
- name: default
  cluster:
    server: %s
    certificate-authority-data: %s
users:
- name: default
  user:
    client-certificate-data: %s
    client-key-data: %s
contexts:
- name: default
  context: {cluster: default, user: default}
current-context: default
`, server, b64(ca), b64(cert), b64(key))
}

func start(died chan<- string, name string, args ...string) {
	go func() {
		// The controllers give up on an API server that takes 10 s to come, as it does on a busy machine.
		for tries := 0; ; tries++ {
			command := exec.Command("/bin/"+name, args...)
			command.Stdout, command.Stderr = os.Stderr, os.Stderr
			if err := command.Run(); tries == 5 {
				died <- fmt.Sprint(name, ": ", err)
				return
			}
			time.Sleep(time.Second)
		}
	}()
}

func main() {
	client := func(subject pkix.Name) x509.Certificate {
		return x509.Certificate{Subject: subject, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	}
	var pki authority
	ca, _ := pki.issue("ca", x509.Certificate{
		Subject: pkix.Name{CommonName: "k3s stand-in CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	pki.issue("server", x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 43, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	cert, key := pki.issue("admin", client(pkix.Name{CommonName: "system:admin", Organization: []string{"system:masters"}}))
	managerCert, managerKey := pki.issue("manager", client(pkix.Name{CommonName: "system:kube-controller-manager"}))
	write(at("manager.kubeconfig"), config(ca, managerCert, managerKey))
	tokens := must(rsa.GenerateKey(rand.Reader, 2048))
	write(at("sa.key"), block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(tokens)))
	write(at("sa.pub"), block("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(&tokens.PublicKey))))

	died := make(chan string, 3)
	start(died, "etcd", "--data-dir", at("etcd"), "--log-level", "warn", "--unsafe-no-fsync")
	start(died, "kube-apiserver", "--bind-address", "0.0.0.0", "--secure-port", "6443",
		"--advertise-address", "127.0.0.1", "--endpoint-reconciler-type", "none", "--etcd-servers", "http://127.0.0.1:2379",
		"--tls-cert-file", at("server.crt"), "--tls-private-key-file", at("server.key"), "--client-ca-file", at("ca.crt"),
		"--anonymous-auth=false", "--service-account-issuer", issuer, "--api-audiences", issuer+",k3s",
		"--service-account-key-file", at("sa.pub"), "--service-account-signing-key-file", at("sa.key"),
		"--service-cluster-ip-range", "10.43.0.0/16", "--authorization-mode", "Node,RBAC", "--allow-privileged",
		"--enable-admission-plugins", "NodeRestriction")
	start(died, "kube-controller-manager", "--kubeconfig", at("manager.kubeconfig"), "--secure-port", "0",
		"--leader-elect=false", "--kube-api-qps", "500", "--kube-api-burst", "1000", "--use-service-account-credentials",
		"--service-account-private-key-file", at("sa.key"), "--root-ca-file", at("ca.crt"),
		"--cluster-signing-cert-file", at("ca.crt"), "--cluster-signing-key-file", at("ca.key"),
		"--flex-volume-plugin-dir", at("flex"))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	go announce(roots, must(tls.X509KeyPair(cert, key)), config(ca, cert, key))

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	select {
	case <-stop:
	case who := <-died:
		fmt.Fprintln(os.Stderr, "k3s stand-in: ended:", who)
		os.Exit(1)
	}
}

// announce prints the line that Testcontainers waits for, once the controllers have made the first account.
func announce(roots *x509.CertPool, admin tls.Certificate, kubeconfigContent []byte) {
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{admin}}}
	asking := &http.Client{Transport: transport, Timeout: 2 * time.Second}
	for ; ; time.Sleep(100 * time.Millisecond) {
		answer, err := asking.Get(server + "/api/v1/namespaces/default/serviceaccounts/default")
		if err != nil {
			continue
		}
		answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			break
		}
	}
	write(kubeconfig, kubeconfigContent)
	fmt.Println("Node controller sync successful (k3s stand-in: there is no node)")
}
