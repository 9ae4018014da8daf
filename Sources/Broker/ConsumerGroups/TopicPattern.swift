// SPDX-License-Identifier: Apache-2.0
//
// TopicPattern.swift
// A regular expression over topic names: RE2's syntax without what would need backtracking, matched by walking all
// alternatives at once. Time is bounded by states times length, whatever a client sends.

/// Why a regular expression is refused.
enum TopicPatternError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The expression is longer than ``TopicPattern/bytesMax``.
    case tooLong
    /// Repetitions make it larger than ``TopicPattern/statesMax``.
    case tooLarge
    /// Groups are nested deeper than ``TopicPattern/depthMax``.
    case tooDeep
    /// The syntax is not known, at the character with this number.
    case syntax(String, at: Int)

    var description: String {
        switch self {
        case .tooLong: "the expression is longer than \(TopicPattern.bytesMax) bytes"
        case .tooLarge: "the expression needs more than \(TopicPattern.statesMax) states"
        case .tooDeep: "groups are nested deeper than \(TopicPattern.depthMax)"
        case .syntax(let what, let place): "\(what) at character \(place + 1)"
        }
    }
}

/// A compiled expression, which matches a name when it matches the whole of it.
///
/// Names of topics are ASCII, so a class is a set of 128 characters, and other characters match nothing.
struct TopicPattern: Sendable {
    /// The longest expression, in bytes.
    static let bytesMax = 4096
    /// The most states of a compiled expression; a match takes at most this many steps for each character.
    static let statesMax = 1000
    /// The deepest nesting of groups.
    static let depthMax = 50
    /// The highest count of a repetition, RE2's.
    static let repetitionsMax = 1000

    /// One state of the automaton.
    enum State: Hashable, Sendable {
        /// Takes a character of the class, then goes to the next state.
        case take(CharacterClass)
        /// Goes to both without a character.
        case either(Int, Int)
        /// Goes on elsewhere without a character.
        case go(Int)
        /// Goes to the next state if the place in the name is right.
        case require(Place)
        /// The end of the expression.
        case end
    }

    /// A place in a name.
    enum Place: Hashable, Sendable {
        case start, end, wordBoundary, noWordBoundary
    }

    /// The states, beginning with the first.
    let states: [State]

    /// Compiles an expression.
    ///
    /// Cost: in proportion to the expression and its states.
    init(_ text: String) throws(TopicPatternError) {
        guard text.utf8.count <= Self.bytesMax else { throw .tooLong }
        var parser = TopicPatternParser(text)
        var compiler = Compiler()
        try compiler.add(try parser.parse())
        try compiler.emit(.end)
        states = compiler.states
    }

    /// Whether the whole of `name` matches.
    ///
    /// Cost: at most the number of states for each byte; it ends early when nothing can match any more.
    func matches(_ name: String) -> Bool {
        let bytes = Array(name.utf8)
        var active = ActiveStates(count: states.count)
        var next = ActiveStates(count: states.count)
        activate(0, at: 0, of: bytes, in: &active)
        for (position, byte) in bytes.enumerated() {
            next.removeAll()
            for index in active.members {
                guard case .take(let accepted) = states[index], accepted.contains(byte) else { continue }
                activate(index + 1, at: position + 1, of: bytes, in: &next)
            }
            if next.members.isEmpty { return false }
            swap(&active, &next)
        }
        return active.members.contains { states[$0] == .end }
    }

    /// Adds a state and all that are reached from it without a character.
    private func activate(_ first: Int, at position: Int, of bytes: [UInt8], in active: inout ActiveStates) {
        active.stack.append(first)
        while let index = active.stack.popLast() {
            guard active.insert(index) else { continue }
            switch states[index] {
            case .take, .end: break
            case .go(let other): active.stack.append(other)
            case .either(let one, let other):
                active.stack.append(other)
                active.stack.append(one)
            case .require(let place):
                if Self.holds(place, at: position, of: bytes) { active.stack.append(index + 1) }
            }
        }
    }

    private static func holds(_ place: Place, at position: Int, of bytes: [UInt8]) -> Bool {
        switch place {
        case .start: return position == 0
        case .end: return position == bytes.count
        case .wordBoundary, .noWordBoundary:
            let before = position > 0 && CharacterClass.word.contains(bytes[position - 1])
            let after = position < bytes.count && CharacterClass.word.contains(bytes[position])
            return (before != after) == (place == .wordBoundary)
        }
    }

    /// The states that a match is in.
    private struct ActiveStates {
        private(set) var members: [Int] = []
        private var isMember: [Bool]
        var stack: [Int] = []

        init(count: Int) { isMember = Array(repeating: false, count: count) }

        mutating func insert(_ index: Int) -> Bool {
            if isMember[index] { return false }
            isMember[index] = true
            members.append(index)
            return true
        }

        mutating func removeAll() {
            for index in members { isMember[index] = false }
            members.removeAll(keepingCapacity: true)
        }
    }
}

/// A set of ASCII characters.
struct CharacterClass: Hashable, Sendable {
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    /// No character.
    init() {}

    /// The characters of a range.
    init(_ range: ClosedRange<UInt8>) { for byte in range where byte < 128 { insert(byte) } }

    /// The characters of a text.
    init(_ text: String) { for byte in text.utf8 where byte < 128 { insert(byte) } }

    /// Every ASCII character.
    static let all = CharacterClass(0...127)
    /// Digits.
    static let digit = CharacterClass(48...57)
    /// Letters, digits and the underscore.
    static let word = CharacterClass(48...57).union(CharacterClass(65...90)).union(CharacterClass(97...122)).union(
        CharacterClass("_"))
    /// White space as RE2's `\s` has it.
    static let space = CharacterClass("\t\n\u{C}\r ")

    /// Whether a byte is in the class.
    func contains(_ byte: UInt8) -> Bool {
        byte < 64 ? low >> UInt64(byte) & 1 == 1 : byte < 128 && high >> UInt64(byte - 64) & 1 == 1
    }

    /// Adds a byte below 128.
    mutating func insert(_ byte: UInt8) {
        if byte < 64 { low |= 1 << UInt64(byte) } else { high |= 1 << UInt64(byte - 64) }
    }

    /// The characters in one of the two.
    func union(_ other: CharacterClass) -> CharacterClass {
        var result = self
        result.low |= other.low
        result.high |= other.high
        return result
    }

    /// All other ASCII characters.
    var inverted: CharacterClass {
        var result = CharacterClass()
        result.low = ~low
        result.high = ~high
        return result
    }

    /// With the other case of each letter.
    var foldingCase: CharacterClass {
        var result = self
        for letter in UInt8(65)...90 where contains(letter) || contains(letter + 32) {
            result.insert(letter)
            result.insert(letter + 32)
        }
        return result
    }
}

// MARK: - Compiling

extension TopicPattern {
    /// Lays out the states of a syntax tree.
    private struct Compiler {
        var states: [State] = []
        /// Nodes that were visited: repetitions of nothing make no states, and have to end as well.
        private var visits = 0

        mutating func emit(_ state: State) throws(TopicPatternError) {
            guard states.count < TopicPattern.statesMax else { throw .tooLarge }
            states.append(state)
        }

        mutating func add(_ node: TopicPatternNode) throws(TopicPatternError) {
            visits += 1
            guard visits <= 10 * TopicPattern.statesMax else { throw .tooLarge }
            switch node {
            case .nothing: break
            case .character(let accepted): try emit(.take(accepted))
            case .place(let place): try emit(.require(place))
            case .sequence(let nodes): for node in nodes { try add(node) }
            case .alternatives(let nodes): try addAlternatives(nodes)
            case .repetition(let node, let range): try addRepetition(node, range)
            }
        }

        private mutating func addAlternatives(_ nodes: [TopicPatternNode]) throws(TopicPatternError) {
            var exits: [Int] = []
            for (number, node) in nodes.enumerated() {
                guard number < nodes.count - 1 else {
                    try add(node)
                    break
                }
                let fork = states.count
                try emit(.either(fork + 1, fork))
                try add(node)
                exits.append(states.count)
                try emit(.go(0))
                states[fork] = .either(fork + 1, states.count)
            }
            for exit in exits { states[exit] = .go(states.count) }
        }

        private mutating func addRepetition(
            _ node: TopicPatternNode, _ range: TopicPatternNode.Range
        ) throws(TopicPatternError) {
            for _ in 0..<range.min { try add(node) }
            guard let max = range.max else {
                let fork = states.count
                try emit(.either(fork + 1, fork))
                try add(node)
                try emit(.go(fork))
                states[fork] = .either(fork + 1, states.count)
                return
            }
            var forks: [Int] = []
            for _ in range.min..<Swift.max(range.min, max) {
                forks.append(states.count)
                try emit(.either(states.count + 1, states.count))
                try add(node)
            }
            for fork in forks { states[fork] = .either(fork + 1, states.count) }
        }
    }
}
