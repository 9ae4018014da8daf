// SPDX-License-Identifier: Apache-2.0
//
// SettingsFile.swift
// The YAML file: sections with keys, nothing else. Every value keeps its line.

import Foundation
import Yams

/// Reads a configuration file into raw values.
enum SettingsFile {
    /// The most bytes that a file with settings, or with the value of one, may have.
    static let bytesMax = 1 << 20

    /// Why a file's text cannot be had although it can be read.
    struct Unsuitable: LocalizedError {
        let errorDescription: String?
    }

    /// The text of a file of at most ``bytesMax``.
    static func text(_ path: String) throws -> String {
        let file = try FileHandle(forReadingFrom: URL(filePath: path))
        defer { try? file.close() }
        let bytes = try file.read(upToCount: bytesMax + 1) ?? Data()
        guard bytes.count <= bytesMax else { throw Unsuitable(errorDescription: "it has more than \(bytesMax) bytes") }
        guard let text = String(bytes: bytes, encoding: .utf8) else {
            throw Unsuitable(errorDescription: "it is not text in UTF-8")
        }
        return text
    }

    /// The values in the order of the file; what is wrong with its form goes to `problems`.
    static func values(
        path: String, text: String, problems: inout [SettingsProblem]
    ) -> [SettingsLoader.RawValue] {
        var reader = Reader(path: path)
        do {
            if let root = try compose(yaml: text) { reader.read(root) }
        } catch let error as YamlError {
            reader.report(error)
        } catch {
            reader.problem(line: 1, "\(error)")
        }
        problems += reader.problems
        return reader.values
    }

    private struct Reader {
        let path: String
        var values: [SettingsLoader.RawValue] = []
        var problems: [SettingsProblem] = []

        mutating func read(_ root: Node) {
            switch root {
            case .mapping(let sections): for (name, node) in sections { section(name, node) }
            // A file with nothing but comments.
            case .scalar(let scalar) where scalar.string.isEmpty || scalar.string == "null": break
            default: problem(line: root.mark?.line ?? 1, "the file must consist of sections with keys")
            }
        }

        private mutating func section(_ name: Node, _ node: Node) {
            let line = name.mark?.line ?? 1
            guard let section = name.string else { return problem(line: line, "a section's name is text") }
            let known = Catalogue.sections.map(\.name)
            guard known.contains(section) else {
                let suggestion = Spelling.nearest(to: section, among: known).map { "; did you mean \($0)?" } ?? ""
                let sections = suggestion.isEmpty ? "; there are \(known.joined(separator: ", "))" : suggestion
                return problem(line: line, "unknown section \(section)\(sections)")
            }
            switch node {
            case .mapping(let keys): for (key, value) in keys { entry(section, key, value) }
            case .scalar(let scalar) where scalar.string.isEmpty: break
            default: problem(line: line, "\(section) is a section; its keys stand below it, indented")
            }
        }

        private mutating func entry(_ section: String, _ key: Node, _ value: Node) {
            let line = key.mark?.line ?? 1
            guard let name = key.string else { return problem(line: line, "a key's name is text") }
            let full = section + "." + name
            guard Catalogue.definition(full) != nil else { return problem(line: line, SettingsLoader.unknown(full)) }
            if case .sequence(let elements) = value, case .list = Catalogue.definition(full)?.type {
                let texts = elements.compactMap(\.scalar?.string)
                guard texts.count == elements.count, !texts.contains(where: { $0.contains(",") }) else {
                    return problem(line: line, "\(full) takes a list of single values")
                }
                let origin = SettingOrigin.file(path: path, line: line)
                return values.append(.init(key: full, text: texts.joined(separator: ", "), origin: origin))
            }
            guard case .scalar(let scalar) = value else { return problem(line: line, "\(full) takes one value") }
            if scalar.string.isEmpty && scalar.style == .plain {
                return problem(line: line, "\(full) has no value; leave the line out to get the default")
            }
            values.append(.init(key: full, text: scalar.string, origin: .file(path: path, line: line)))
        }

        mutating func report(_ error: YamlError) {
            switch error {
            case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
                .composer(_, let problem, let mark, _):
                self.problem(line: mark.line, "this is not YAML: \(problem)")
            case .duplicatedKeysInMapping(let keys, let context):
                let names = keys.joined(separator: ", ")
                problem(line: context.mark.line, "\(names) is written more than once in the same section")
            default: problem(line: 1, "this is not YAML: \(error)")
            }
        }

        mutating func problem(line: Int, _ message: String) {
            problems.append(.init(origin: .file(path: path, line: line), message: message))
        }
    }
}
