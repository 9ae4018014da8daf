// SPDX-License-Identifier: Apache-2.0
//
// TopicPatternTests.swift
// What expressions match, which are refused, and that none takes long.

import Model
import Testing

@testable import Broker

@Suite struct TopicPatternTests {
    private func matches(_ pattern: String, _ name: String) throws -> Bool { try TopicPattern(pattern).matches(name) }

    @Test(arguments: [
        ("orders", "orders"), ("orders.*", "orders-eu"), ("^orders-\\d+$", "orders-17"), ("a|b|", "b"), ("a|b|", ""),
        ("(a|bc)+", "abcbca"), ("x{3}", "xxx"), ("x{2,}", "xxxxx"), ("x{1,3}y", "xxy"), ("[a-c]+[^a-c]", "abcd"),
        ("[[:alpha:]_]+", "ab_c"), ("[^[:digit:]]*", "ab"), ("(?i)Ab[C]", "aBc"), ("a(?i:b)c", "aBc"),
        ("(?P<name>a)(?<other>b)", "ab"), ("\\Qa.b\\E", "a.b"), ("a\\.b", "a.b"), ("\\x61\\x{62}", "ab"),
        (".*\\bword\\b.*", "a-word.b"), ("a\\Bb", "ab"), ("\\Aab\\z", "ab"), ("a*?b+?", "aab"), ("[]a]+", "]a"),
        ("[a-]+", "a-"), ("a{", "a{"), ("a{,2}", "a{,2}"), ("()*", ""), ("(a*)*b", "aab"), ("(|a)+", "aa"),
        ("[\\w.-]+", "a_1.b-c"), ("\\S\\D\\W", "xy-"), ("(?s-i)a", "a"), ("((((a))))", "a"), ("[\\]x]+", "]x"),
    ])
    func theseMatch(_ pattern: String, _ name: String) throws {
        #expect(try matches(pattern, name), "\(pattern) and \(name)")
    }

    @Test(arguments: [
        ("orders", "orders2"), ("orders", "my-orders"), ("^a", "ab"), ("a$b", "ab"), ("x{3}", "xx"), ("x{1,3}", "xxxx"),
        ("[^a]", "a"), ("(?i)[^a]", "A"), ("a(?i:b)c", "aBC"), ("a.c", "ac"), ("\\d", "x"), ("é", "e"), (".", "é"),
        ("a\\bb", "ab"), ("", "a"), ("a|b", "ab"), ("(?i)a(?-i)b", "aB"), ("[[:^alpha:]]", "a"),
    ])
    func theseDoNot(_ pattern: String, _ name: String) throws {
        #expect(try !matches(pattern, name), "\(pattern) and \(name)")
    }

    @Test(arguments: [
        "(", ")", "a)", "[a", "[b-a]", "*a", "a**", "a+{2}", "(?=a)", "(?!a)", "(?<=a)b", "(a)\\1", "\\", "\\p{L}",
        "x{1001}", "x{3,2}", "[[:nothing:]]", "(?P<>a)", "(?Pa)", "(?i", "\\x{110000}", "\\xg0", "[\\d-z]", "\\C",
    ])
    func theseAreRefused(_ pattern: String) {
        #expect(throws: TopicPatternError.self) { try TopicPattern(pattern) }
    }

    @Test func sizeAndDepthAreLimited() {
        #expect(throws: TopicPatternError.tooLong) { try TopicPattern(String(repeating: "a", count: 4097)) }
        #expect(throws: TopicPatternError.tooLarge) { try TopicPattern("(a{1000}){1000}") }
        #expect(throws: TopicPatternError.tooLarge) { try TopicPattern("(((){1000}){1000}){1000}") }
        let nested = String(repeating: "(", count: 60) + String(repeating: ")", count: 60)
        #expect(throws: TopicPatternError.tooDeep) { try TopicPattern(nested) }
    }

    /// Each would keep a backtracking matcher busy for longer than the universe is old.
    ///
    /// Steps are bounded by states times length, so the test ends at all.
    @Test(arguments: ["(a*)*b", "(a|aa)+b", "(a?){200}a{200}b", "(.*.*)*b", "(((a+)+)+)+b"])
    func nothingBacktracks(_ pattern: String) throws {
        #expect(try !matches(pattern, String(repeating: "a", count: 249)))
    }

    /// Expressions made at random over a small alphabet, against a matcher that follows the definition.
    @Test func randomExpressionsMatchAsTheDefinitionSays() throws {
        var random = SeededRandom(seed: 848)
        for _ in 0..<600 {
            let (text, node) = Self.expression(depth: 3, &random)
            let pattern = try TopicPattern(text)
            for _ in 0..<4 {
                let length = Int.random(in: 0...6, using: &random)
                let name = String((0..<length).map { _ in "ab".randomElement(using: &random) ?? "a" })
                let ends = Self.ends(node, Array(name), [0])
                #expect(pattern.matches(name) == ends.contains(name.count), "\(text) and \(name)")
            }
        }
    }

    private indirect enum Node {
        case letter(Character), any
        case sequence(Node, Node), either(Node, Node), star(Node), optional(Node)
    }

    private static func expression(depth: Int, _ random: inout SeededRandom) -> (String, Node) {
        guard depth > 0 else {
            let letter: Character = Bool.random(using: &random) ? "a" : "b"
            return Bool.random(using: &random) ? (String(letter), .letter(letter)) : (".", .any)
        }
        let (one, oneNode) = expression(depth: depth - 1, &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: return ("(\(one))*", .star(oneNode))
        case 1: return ("(\(one))?", .optional(oneNode))
        case 2:
            let (other, otherNode) = expression(depth: depth - 1, &random)
            return ("(\(one)|\(other))", .either(oneNode, otherNode))
        default:
            let (other, otherNode) = expression(depth: depth - 1, &random)
            return (one + other, .sequence(oneNode, otherNode))
        }
    }

    /// Where a match can end that begins at one of `starts`.
    private static func ends(_ node: Node, _ name: [Character], _ starts: Set<Int>) -> Set<Int> {
        switch node {
        case .letter(let letter): return Set(starts.filter { $0 < name.count && name[$0] == letter }.map { $0 + 1 })
        case .any: return Set(starts.filter { $0 < name.count }.map { $0 + 1 })
        case .sequence(let one, let other): return ends(other, name, ends(one, name, starts))
        case .either(let one, let other): return ends(one, name, starts).union(ends(other, name, starts))
        case .optional(let one): return starts.union(ends(one, name, starts))
        case .star(let one):
            var all = starts
            while true {
                let more = all.union(ends(one, name, all))
                if more == all { return all }
                all = more
            }
        }
    }
}
