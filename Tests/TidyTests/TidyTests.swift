// SPDX-License-Identifier: Apache-2.0
//
// TidyTests.swift
// The house style that a formatter cannot see: sizes, banned words, layering, and documentation that must exist.

import Foundation
import Testing

/// One source file of the repository.
struct SourceFile: Sendable {
    let path: String
    let lines: [String]

    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// Every Swift file under the given folders.
    static func all(under folders: [String]) -> [SourceFile] {
        folders.flatMap { folder -> [SourceFile] in
            let base = root.appending(path: folder)
            let found = FileManager.default.enumerator(at: base, includingPropertiesForKeys: nil)
            return (found?.allObjects as? [URL] ?? []).filter { $0.pathExtension == "swift" }.compactMap { url in
                guard let text = try? String(contentsOf: url, encoding: .utf8) else { return nil }
                let path = String(url.path.dropFirst(root.path.count + 1))
                return SourceFile(path: path, lines: text.components(separatedBy: "\n"))
            }
        }
    }

    static let sources = all(under: ["Sources", "tools"])
    static let everything = all(under: ["Sources", "tools", "Tests"])
}

@Suite struct TidyTests {
    @Test func filesStayShort() {
        let long = SourceFile.everything.filter { $0.lines.count > 501 }.map { "\($0.path): \($0.lines.count - 1)" }
        #expect(long.isEmpty, "files above 500 lines: \(long)")
    }

    @Test func functionsStayShort() {
        let long = SourceFile.sources.flatMap { file in
            FunctionScanner.functions(in: file.lines).filter { $0.length > 70 }.map {
                "\(file.path):\($0.line) \($0.name): \($0.length)"
            }
        }
        #expect(long.isEmpty, "functions above 70 lines: \(long)")
    }

    @Test func everyFileSaysWhatItIsFor() {
        let silent = SourceFile.sources.filter { file in
            let name = file.path.split(separator: "/").last.map(String.init) ?? ""
            return !file.lines.prefix(5).contains("// SPDX-License-Identifier: Apache-2.0")
                || !file.lines.prefix(5).contains { $0.contains(name) }
        }
        #expect(silent.map(\.path).isEmpty, "files without a header")
    }

    @Test(arguments: [
        "TODO", "FIXME", "XXX", "HACK", "@unchecked Sendable", "nonisolated(unsafe)", "try!", "as!", "fatalError(",
        "Thread.sleep", "Task.sleep", "usleep(",
    ])
    func wordsThatDoNotBelong(_ word: String) {
        // Each exception stands with its reason beside the code.
        let allowed: [String: [String]] = ["@unchecked Sendable": ["Sources/RocksKV/"]]
        let found = SourceFile.sources.flatMap { file -> [String] in
            if allowed[word]?.contains(where: { file.path.hasPrefix($0) }) ?? false { return [] }
            return file.lines.enumerated().filter { $0.element.contains(word) }.map { "\(file.path):\($0.offset + 1)" }
        }
        #expect(found.isEmpty, "\(word) in \(found)")
    }

    /// Where thousands of files are open, Foundation's way to start a program reads memory that is not its own.
    @Test func testsStartProgramsTheirOwnWay() {
        let found = SourceFile.everything.filter { file in
            file.path.hasPrefix("Tests/") && file.lines.contains { $0.contains("= Process()") }
        }
        #expect(found.map(\.path).filter { $0 != "Tests/TidyTests/TidyTests.swift" }.isEmpty)
    }

    @Test func onlyTwoTargetsImportC() {
        let strays = SourceFile.sources.filter { file in
            file.lines.contains { $0.hasSuffix("import CRocksDB") } && !file.path.hasPrefix("Sources/RocksKV/")
                || file.lines.contains { $0.hasSuffix("import CCodecs") } && !file.path.hasPrefix("Sources/Records/")
        }
        #expect(strays.map(\.path).isEmpty)
    }

    @Test func targetsKnowOnlyThoseAbove() {
        let order = [
            "Model", "Raft", "Records", "RocksKV", "Telemetry", "Settings", "KafkaProtocol", "LogStore", "Simulation",
            "Replication",
            "Broker", "PlainHTTP", "Discovery", "KafkaServer", "Admin", "KafkaClient", "Terminal", "goulette",
        ]
        let never = ["KafkaServer": ["Broker"], "Raft": ["Records", "LogStore"], "LogStore": ["KafkaProtocol"]]
        for file in SourceFile.sources where file.path.hasPrefix("Sources/") {
            let target = String(file.path.split(separator: "/")[1])
            guard let place = order.firstIndex(of: target) else { continue }
            for line in file.lines {
                guard let module = line.split(separator: " ").last.map(String.init), line.contains("import "),
                    let other = order.firstIndex(of: module), !line.hasPrefix("//")
                else { continue }
                #expect(other < place, "\(file.path) imports \(module), which stands below \(target)")
                #expect(never[target]?.contains(module) != true, "\(file.path) must not import \(module)")
            }
        }
    }

    @Test func everyTargetHasAREADME() throws {
        let targets = try FileManager.default.contentsOfDirectory(
            at: SourceFile.root.appending(path: "Sources"), includingPropertiesForKeys: nil)
        for target in targets where target.lastPathComponent != "goulette" {
            let text = try? String(contentsOf: target.appending(path: "README.md"), encoding: .utf8)
            #expect((text?.count ?? 0) > 200, "\(target.lastPathComponent) has no README worth the name")
        }
    }

    @Test(arguments: [
        "README.md", "ARCHITECTURE.md", "STYLE.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "docs/FILE-FORMAT.md",
    ])
    func furnitureExists(_ name: String) throws {
        let text = try String(contentsOf: SourceFile.root.appending(path: name), encoding: .utf8)
        #expect(text.count > 500)
    }

    @Test func theReadmeNamesItsCommands() throws {
        let text = try String(contentsOf: SourceFile.root.appending(path: "README.md"), encoding: .utf8)
        for command in ["make run", "make test", "kcat"] { #expect(text.contains(command)) }
    }
}
