// Package browsertest tests the inspector's page in a real headless Chromium.
// It is a module of its own, so that only its tests need the browser's protocol.
//
// Without Chromium (or Chrome) on the path the tests are skipped, unless
// TOKENRING_BROWSER is set: then they fail. TOKENRING_SCREENSHOTS names a folder
// to which they write pictures of the page.
package browsertest
