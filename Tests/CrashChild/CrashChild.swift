// SPDX-License-Identifier: Apache-2.0
//
// CrashChild.swift
// A process that lives the life of a store on real files and kills itself in the middle of it.
//
//     GOULETTE_CRASH_AT=17 crash-child <directory> <on|off|auto> [<seed>]
//
// Each fact is one write(2) of one line to the standard output, before the next thing happens, so whoever reads the pipe
// knows everything that was promised when the process was gone. Without a crash point the last line says how many operations
// there were.

import CrashScenario
import LogStore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The program.
@main enum CrashChild {
    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count >= 3, let mode = StoreSettings.JournalMode(rawValue: arguments[2]) else {
            say("usage: crash-child <directory> <on|off|auto> [<seed>]")
            exit(64)
        }
        let point = getenv("GOULETTE_CRASH_AT").flatMap { CrashPoint(String(cString: $0)) }
        let system = CountingFileSystem(point)
        let life = StoreLife(
            StoreLife.settings(arguments[1], journal: mode), system: system,
            seed: arguments.count > 3 ? UInt64(arguments[3]) ?? 1 : 1, emit: { say($0.line) })
        try life.run()
        say("operations \(system.operations)")
        // Not closed: what follows would be operations that are not counted.
        _exit(0)
    }

    private static func say(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = bytes.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
    }
}
