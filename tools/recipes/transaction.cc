// SPDX-License-Identifier: Apache-2.0
//
// A transaction that the code below it finds without a parameter.
//
//   Transaction transaction(database);  // sets the context variable `connection`
//   run("select * from foo");           // runs on that connection, at any depth of calls
//   transaction.commit();               // without it, the end of the block rolls back
//
// Transactions nest, and those of jobs that run at once don't see one another.

#include <iostream>
#include <stdexcept>
#include <string>

#include "taskctx/context_var.h"
#include "taskctx/job_pool.h"
#include "taskctx/scope.h"

// In place of a database's client: it records its commands.
struct Connection {
  void execute(const std::string& sql) { log += name + ": " + sql + '\n'; }

  std::string name;
  std::string log = {};
};

inline taskctx::ContextVar<Connection*> connection{"connection", nullptr};

class Transaction {
 public:
  explicit Transaction(Connection& on) : connection_(on) { connection_.execute("begin"); }
  ~Transaction() { connection_.execute(committed_ ? "commit" : "rollback"); }

  void commit() { committed_ = true; }

 private:
  Connection& connection_;
  taskctx::Scope<Connection*> scope_{connection, &connection_};  // Restored at the end.
  bool committed_ = false;
};

void run(const std::string& sql) {
  if (Connection* current = connection.get()) {
    current->execute(sql);
  } else {
    std::cout << "no transaction for: " << sql << '\n';
  }
}

int main() {
  Connection foo{"foo"}, bar{"bar"}, baz{"baz"}, red{"red"}, green{"green"}, blue{"blue"};
  {
    Transaction outer(foo);
    run("select 1 from foo");
    {
      Transaction inner(bar);
      run("select 2 from bar");
      inner.commit();
    }
    run("select 3 from foo");
    outer.commit();
  }
  try {
    Transaction transaction(baz);
    run("delete from baz");
    throw std::runtime_error("disk full");
  } catch (const std::runtime_error& error) {
    std::cout << "failed: " << error.what() << '\n';
  }
  run("select 4");
  {
    taskctx::JobPool pool{{.concurrency = 3}};
    for (Connection* mine : {&red, &green, &blue}) {
      pool.post([mine] {
        Transaction transaction(*mine);
        run("update");
        transaction.commit();
      });
    }
  }  // Waits for the jobs.
  for (const Connection* each : {&foo, &bar, &baz, &red, &green, &blue}) {
    std::cout << each->log;
  }
}
