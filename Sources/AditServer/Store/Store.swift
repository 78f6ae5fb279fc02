// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import GRDB
import NIOCore
package import NIOPosix

/// What the server remembers on disk: devices, invites, leases of names and ports, settings.
///
/// It is one SQLite file. Every call runs on a thread of its own, never on an event loop, and is one transaction.
/// Commands of the same user may open the file while the server runs: SQLite's locks keep them apart.
package final class Store: Sendable {
    private let database: DatabaseQueue
    private let threads: NIOThreadPool
    private let ownsThreads: Bool

    /// Opens the file at `path` and brings its tables to the present form; blocks.
    ///
    /// Throws `AditError` 903 when the file cannot be opened or is not such a database.
    package convenience init(path: String, threads: NIOThreadPool? = nil) throws(AditError) {
        var configuration = Self.configuration()
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
        }
        do {
            try self.init(database: DatabaseQueue(path: path, configuration: configuration), threads: threads)
        } catch {
            throw AditError(
                .state,
                Text("the server's database cannot be opened", zh: "无法打开服务器的数据库"),
                why: [Text(verbatim: path), Text(verbatim: String(describing: error))],
                fix: Text("check the folder's owner and free space", zh: "请检查该目录的所有者和剩余空间")
            )
        }
    }

    /// A store that lives in memory and is forgotten with the object, for tests and for trying things out.
    package static func inMemory() throws -> Store {
        try Store(database: DatabaseQueue(configuration: configuration()), threads: nil)
    }

    private init(database: DatabaseQueue, threads: NIOThreadPool?) throws {
        self.database = database
        ownsThreads = threads == nil
        // One thread: SQLite has one writer, and a queue of calls in order is easier to reason about than a race.
        self.threads = threads ?? NIOThreadPool(numberOfThreads: 1)
        if ownsThreads { self.threads.start() }
        try StoreSchema.migrator.migrate(database)
    }

    private static func configuration() -> Configuration {
        var configuration = Configuration()
        configuration.busyMode = .timeout(5)
        configuration.foreignKeysEnabled = true
        return configuration
    }

    /// Stops the store's thread after the calls that wait; blocks nobody.
    package func close() {
        if ownsThreads { threads.shutdownGracefully { _ in } }
    }

    /// Runs `body` as one transaction on the store's thread and delivers its result on `loop`.
    func perform<Value: Sendable>(
        on loop: any EventLoop,
        _ body: @escaping @Sendable (Database) throws -> Value
    ) -> EventLoopFuture<Value> {
        let database = self.database
        return threads.runIfActive(eventLoop: loop) {
            try database.write(body)
        }
    }

    /// Runs `body` as one transaction on the calling thread, for commands that have no event loop.
    func performBlocking<Value>(_ body: (Database) throws -> Value) throws -> Value {
        try database.write(body)
    }
}
