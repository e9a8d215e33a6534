package inspect

import (
	"crypto/subtle"
	"net/http"
	"net/url"
	"strings"
)

// guard lets through only what comes from the page itself: the token in the path
// keeps other users of the machine out, the Host check keeps out pages of other
// sites whose name was pointed at this address, and the Origin check and the
// content type keep out requests that such a page makes the browser send.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Cache-Control", "no-store")

		token, rest, slash := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if subtle.ConstantTimeCompare([]byte(token), []byte(s.token)) != 1 {
			http.NotFound(w, r)
			return
		}
		if r.Host != s.host {
			http.Error(w, "the inspector is at http://"+s.host, http.StatusMisdirectedRequest)
			return
		}
		if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+s.host {
			http.Error(w, "this request comes from another page", http.StatusForbidden)
			return
		}
		if r.Method == http.MethodPost && r.Header.Get("Content-Type") != "application/json" {
			http.Error(w, "want Content-Type: application/json", http.StatusUnsupportedMediaType)
			return
		}
		if !slash { // the page's own links are relative
			http.Redirect(w, r, "/"+s.token+"/", http.StatusFound)
			return
		}
		// The path as it was sent, so that an ID may hold an escaped slash.
		raw := strings.TrimPrefix(r.URL.EscapedPath(), "/"+token)
		inner := r.Clone(r.Context())
		inner.URL = &url.URL{Path: "/" + rest, RawPath: raw, RawQuery: r.URL.RawQuery}
		next.ServeHTTP(w, inner)
	})
}
