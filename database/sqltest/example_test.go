package sqltest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/tokenring-ai/tokenring-go/database"
)

// library is a database with two books.
func library() *sql.DB {
	db, err := sql.Open("sqlite", ":memory:")
	if err == nil {
		db.SetMaxOpenConns(1) // each connection would have a database of its own
		_, err = db.Exec("CREATE TABLE book (id integer PRIMARY KEY, title text, year int); INSERT INTO book VALUES (1, 'Dune', 1965), (2, 'Solaris', 1961)")
	}
	if err != nil {
		panic(err)
	}
	return db
}

// What an agent, or the program, may ask of a database.
func Example() {
	ctx := context.Background()
	db := library()
	defer db.Close()
	data := database.New(database.Options{})
	err := data.Register(database.Provider{Name: "library", DB: db, Dialect: database.SQLite})
	fmt.Println(err)

	books, err := data.Query(ctx, "library", "SELECT title, year FROM book WHERE year < ?", 1965)
	fmt.Println(books, err)
	_, err = data.Query(ctx, "library", "WITH old AS (SELECT 1) DELETE FROM book")
	fmt.Println(errors.Is(err, database.ErrRefused))
	for _, t := range data.Tools() {
		fmt.Println(t.Name)
	}
	// Output:
	// <nil>
	// title   | year
	// --------+-----
	// Solaris | 1961
	// (1 row) <nil>
	// true
	// db_query
	// db_schema
	// db_execute
}

// Writes need a provider that allows them, and somebody who agrees.
func ExampleService_Execute() {
	ctx := context.Background()
	db := library()
	defer db.Close()
	data := database.New(database.Options{Approve: func(_ context.Context, w database.Write) (bool, error) {
		fmt.Println("may I?", w.SQL)
		return true, nil // a program asks a person
	}})
	err := data.Register(database.Provider{Name: "library", DB: db, Dialect: database.SQLite, AllowWrites: true})
	fmt.Println(err)
	r, err := data.Execute(ctx, "library", "UPDATE book SET year = 1962 WHERE id = ?", 2)
	fmt.Println(r, err)
	// Output:
	// <nil>
	// may I? UPDATE book SET year = 1962 WHERE id = ?
	// 1 row changed <nil>
}
