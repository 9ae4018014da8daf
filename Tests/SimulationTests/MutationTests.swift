// SPDX-License-Identifier: Apache-2.0
//
// MutationTests.swift
// Each planted bug is found by the seed that stands beside its name in mutations.txt. Runs in child processes, because
// some bugs are found by a failed precondition. `simulator mutations` searches for such seeds.

import Foundation
import Simulation
import TestSupport
import Testing

@Suite struct MutationTests {
    /// Bugs and a seed that finds each.
    static let table: [(name: String, seed: String)] = {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "mutations.txt")
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
            let words = line.split(separator: " ").map(String.init)
            return (words[0], words.count > 1 ? words[1] : "")
        }
    }()

    @Test func everyBugHasASeedOrAReason() {
        #expect(Set(Self.table.map(\.name)) == Set(Mutation.all.map(\.name)))
        #expect(Self.table.filter { $0.seed != "script" }.count >= 40)
    }

    @Test(arguments: table.indices.filter { table[$0].seed != "script" })
    func isFound(_ place: Int) throws {
        let (name, seed) = Self.table[place]
        // The program is built beside this one.
        let folder = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        let process = try ChildProcess(
            folder.appending(path: "simulator").path, ["replay", "--quiet", "--seed", seed, "--mutation", name],
            environment: ["SWIFT_BACKTRACE": "enable=no"])
        switch process.wait() {
        case .killed: break
        case .exited(let code): #expect(code == 1, "\(name) survives seed \(seed)")
        }
    }
}
