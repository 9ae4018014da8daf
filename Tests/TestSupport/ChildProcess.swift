// SPDX-License-Identifier: Apache-2.0
//
// ChildProcess.swift
// Programs that tests run. Foundation's `Process` is not fit for this: to start one it lists the open files of the process
// and reads past the end of the list's memory when there are more than a thousand, as there are here.

import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A program that runs beside the tests.
package struct ChildProcess {
    /// How a program ended.
    package enum Ending: Equatable, Sendable {
        /// It ended by itself with a code.
        case exited(Int32)
        /// A signal ended it.
        case killed(by: Int32)
    }

    /// The program could not be started.
    package struct StartError: Error {
        let path: String
        let code: Int32
    }

    private let id: pid_t

    /// Closes all files from `least` on in the child; looked up by name, for Swift's module of the C library lacks it.
    private static func closeFiles(
        from least: Int32, _ actions: UnsafeMutablePointer<posix_spawn_file_actions_t>
    ) throws {
        typealias Function = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32
        guard let symbol = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np") else {
            throw StartError(path: "a C library older than glibc 2.34", code: ENOSYS)
        }
        _ = unsafeBitCast(symbol, to: Function.self)(actions, least)
    }

    /// Starts the program at `path`.
    ///
    /// - Parameters:
    ///   - environment: its environment; nil gives it that of the tests.
    ///   - input: the file it reads as its standard input.
    ///   - output: the file that takes its standard output and error.
    package init(
        _ path: String, _ arguments: [String], environment: [String: String]? = nil, input: String = "/dev/null",
        output: String = "/dev/null"
    ) throws {
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // It must not keep connections of the tests open.
        try Self.closeFiles(from: 3, &actions)
        // Threads of the tests block signals.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        let words = ([path] + arguments).map { strdup($0) }
        let variables = (environment ?? ProcessInfo.processInfo.environment).map { strdup("\($0.key)=\($0.value)") }
        defer { for text in words + variables { free(text) } }
        var id: pid_t = 0
        let code = posix_spawn(&id, path, &actions, &attributes, words + [nil], variables + [nil])
        guard code == 0 else { throw StartError(path: path, code: code) }
        self.id = id
    }

    /// Ends it as `kill -9` does.
    package func kill() { _ = Glibc.kill(id, SIGKILL) }

    /// Waits for its end; once.
    @discardableResult
    package func wait() -> Ending {
        var status: Int32 = 0
        while waitpid(id, &status, 0) < 0 && errno == EINTR {}
        let signal = status & 0x7F
        return signal == 0 ? .exited(status >> 8 & 0xFF) : .killed(by: signal)
    }

    /// Runs a program to its end; returns how it ended and what it said.
    package static func run(
        _ path: String, _ arguments: [String], environment: [String: String]? = nil, input: String = "/dev/null"
    ) throws -> (ending: Ending, said: String) {
        let scratch = try Scratch()
        let output = scratch.path("output")
        let child = try ChildProcess(path, arguments, environment: environment, input: input, output: output)
        let ending = child.wait()
        return (ending, String(decoding: try Data(contentsOf: URL(filePath: output)), as: UTF8.self))
    }
}
