// Go's net/http and golang-jwt. Answers each request with the credentials that they find in it, as JSON.
// How a place is read is theirs; where Gitea and the LFS servers in Go look is written down here.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/golang-jwt/jwt"
)

var names = []string{"token", "access_token"}

type finding [3]string

type answer struct {
	Method string    `json:"method"`
	Found  []finding `json:"found"`
}

func read(r *http.Request) answer {
	body, _ := io.ReadAll(r.Body)
	found := []finding{}
	add := func(place, name, text string) {
		if text != "" {
			found = append(found, finding{place, name, text})
		}
	}
	login := func(place, user, password string) {
		add(place, user, password)
		// Clients put a token where the user's name belongs.
		if password == "" || password == "x-oauth-basic" {
			add(place, "", user)
		}
	}
	header := r.Header.Get("Authorization")
	if user, password, ok := r.BasicAuth(); ok {
		login("basic", user, password)
	}
	words := strings.Fields(header)
	if len(words) == 2 {
		switch strings.ToLower(words[0]) {
		case "token", "bearer":
			add("bearer", "", words[1])
		case "basic":
			decoded, err := base64.StdEncoding.DecodeString(words[1])
			user, password, ok := strings.Cut(string(decoded), ":")
			if err == nil && ok {
				login("basic", user, password)
			}
		}
	}
	if len(header) > 7 && strings.EqualFold(header[:7], "bearer ") {
		add("bearer", "", header[7:])
	}
	// Gitea's package registries take what stands behind the first blank for a JWT, and never look at the word before it.
	if _, text, ok := strings.Cut(header, " "); ok {
		add("package", "", text)
	}
	for _, name := range names {
		for _, text := range r.URL.Query()[name] {
			add("query", name, text)
		}
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	// What of it cannot be read, nobody there minds.
	_ = r.ParseForm()
	for _, name := range names {
		for _, text := range r.PostForm[name] {
			add("form", name, text)
		}
	}
	if r.ParseMultipartForm(1<<20) == nil {
		for _, name := range names {
			for _, text := range r.MultipartForm.Value[name] {
				add("multipart", name, text)
			}
		}
	}
	for _, one := range found {
		key := func(*jwt.Token) (interface{}, error) { return []byte(os.Args[1]), nil }
		parser := jwt.Parser{ValidMethods: []string{"HS256"}}
		if _, err := parser.Parse(one[2], key); err == nil {
			found = append(found, finding{"jwt in " + one[0], one[1], one[2]})
		}
	}
	return answer{r.Method, found}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	handler := func(w http.ResponseWriter, r *http.Request) {
		text, _ := json.Marshal(read(r))
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(text)
	}
	panic(http.Serve(listener, http.HandlerFunc(handler)))
}
