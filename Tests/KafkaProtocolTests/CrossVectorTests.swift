// SPDX-License-Identifier: Apache-2.0
//
// CrossVectorTests.swift
// Every message as kafka-python encodes it, or as kio does where kafka-python does not know it: decoded, each field found
// under the name that `Vectors/field-names.txt` says, and encoded to the same bytes again. `tools/vectors` writes them.

import Foundation
import NIOCore
import Testing

@testable import KafkaProtocol

@Suite struct CrossVectorTests {
    /// Messages of the one implementation or the other.
    private static func samples(_ codec: MessageCodec) throws -> [VectorSample] {
        let folder = ["Vectors/kafka-python", "Vectors/kio"].first { VectorFile.exists(codec.name, in: $0) }
        return try VectorFile.samples(codec.name, in: try #require(folder, "run tools/vectors"))
    }

    @Test(arguments: MessageCodec.all)
    func messagesOfOthersHaveTheirFieldsAndBytes(_ codec: MessageCodec) throws {
        let samples = try Self.samples(codec)
        #expect(Set(samples.map(\.version)) == Set(codec.versions), "run tools/vectors")
        var pairing = FieldPairing()
        for sample in samples {
            let message = try codec.decode(sample.buffer, sample.version)
            #expect(message.encode().readableBytesView.hex == sample.bytes.hex, "\(sample)")
            pairing.add(theirs: sample.fields, ours: message.fields())
        }
        let lines = pairing.lines(codec.name)
        #expect(lines.problems.isEmpty, "\(codec.name): \(lines.problems.joined(separator: "; "))")
        if ProcessInfo.processInfo.environment["REWRITE"] == nil {
            let expected = try FieldNames.text().split(separator: "\n").filter { $0.hasPrefix(codec.name + ".") }
            #expect(lines.pairs == expected.map(String.init), "REWRITE=1 writes the file anew; read what changed")
        }
    }

    /// The committed names; `REWRITE=1` writes them.
    @Test func fieldNamesAreThoseOfTheMessages() throws {
        var text = FieldNames.introduction
        for codec in MessageCodec.all {
            var pairing = FieldPairing()
            for sample in try Self.samples(codec) {
                pairing.add(
                    theirs: sample.fields, ours: try codec.decode(sample.buffer, sample.version).fields())
            }
            text += pairing.lines(codec.name).pairs.map { $0 + "\n" }.joined()
        }
        if ProcessInfo.processInfo.environment["REWRITE"] != nil {
            try text.write(to: FieldNames.url, atomically: true, encoding: .utf8)
        } else {
            #expect(try FieldNames.text() == text)
        }
    }
}

/// `Vectors/field-names.txt`.
private enum FieldNames {
    static let introduction = """
        # Kafka's or kio's name of each field of each message, and ours: what CrossVectorTests found by the values, for review.
        # REWRITE=1 swift test --filter CrossVectorTests writes this file.

        """
    static let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Vectors/field-names.txt")

    static func text() throws -> String { try String(contentsOf: url, encoding: .utf8) }
}

/// Which of our fields has, in every sample, the value of one of theirs.
private struct FieldPairing {
    /// By their name without places in arrays, what of ours it may be.
    private var candidates: [String: Set<String>] = [:]
    private var order: [String] = []

    mutating func add(theirs: [String], ours: [String]) {
        var byValue: [String: Set<String>] = [:]
        for line in ours {
            let field = Field(line)
            byValue[field.key, default: []].insert(field.name)
        }
        // Empty bytes and an empty array look alike to a mirror, and an empty array may stand for none (Metadata 0); the
        // bytes that are written again tell.
        for line in theirs where !line.hasSuffix(" = 0x") && !line.hasSuffix(".count = 0") {
            let field = Field(line)
            var found = byValue[field.key] ?? []
            if field.name.hasSuffix("ErrorCode"), let code = Int16(field.value).flatMap(KafkaErrorCode.init(rawValue:))
            {
                found = byValue[field.key(with: code.name)] ?? []
            }
            if candidates[field.name] == nil { order.append(field.name) }
            candidates[field.name] = candidates[field.name]?.intersection(found) ?? found
        }
    }

    /// One line for each field, and what is not clear.
    func lines(_ message: String) -> (pairs: [String], problems: [String]) {
        var taken = Set<String>()
        var (pairs, problems): ([String], [String]) = ([], [])
        for name in order {
            let found = candidates[name, default: []].sorted()
            // Counts are small and so alike, and what holds others shows only as nil; the bytes say more.
            let holdsOthers = order.contains { $0.hasPrefix(name + ".") || $0.hasPrefix(name + "[") }
            if name.hasSuffix(".count"), !found.isEmpty { continue }
            if holdsOthers, found.count > 1 { continue }
            guard let only = found.first, found.count == 1 else {
                problems.append("\(name) is \(found.isEmpty ? "nowhere" : "one of \(found)")")
                continue
            }
            // Up to Fetch 14 the replica is a field of its own.
            let isShared = name == "ReplicaState.ReplicaId"
            if !taken.insert(only).inserted, !isShared { problems.append("\(only) is \(name) and another field") }
            pairs.append("\(message).\(name) = \(only)")
        }
        return (pairs, problems)
    }

    /// A line `path = value`.
    private struct Field {
        /// The path without the places in arrays.
        let name: String
        let places: String
        let value: String
        /// What fields of one place and value share.
        var key: String { key(with: value) }

        init(_ line: String) {
            let separator = line.range(of: " = ")
            let path = separator.map { line[..<$0.lowerBound] } ?? line[...]
            value = separator.map { String(line[$0.upperBound...]) } ?? ""
            var (name, places, isPlace) = ("", "", false)
            for character in path {
                if character == "]" { (places, isPlace) = (places + ",", false) }
                if isPlace { places.append(character) } else { name.append(character) }
                if character == "[" { isPlace = true }
            }
            // Counts are only found among counts.
            self.places = places + (name.lowercased().hasSuffix(".count") ? "count" : "")
            self.name = name
        }

        func key(with value: String) -> String { "\(places)=\(value)" }
    }
}
