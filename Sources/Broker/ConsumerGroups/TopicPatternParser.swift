// SPDX-License-Identifier: Apache-2.0
//
// TopicPatternParser.swift
// Reads a regular expression in RE2's syntax. What RE2 refuses (references to groups, looking around) is refused here
// too; Unicode classes are refused because names of topics are ASCII.

/// The syntax tree of an expression.
indirect enum TopicPatternNode: Hashable, Sendable {
    /// Matches the empty text.
    case nothing
    /// One character of a class.
    case character(CharacterClass)
    /// A place in the name.
    case place(TopicPattern.Place)
    /// One after the other.
    case sequence([TopicPatternNode])
    /// One of several.
    case alternatives([TopicPatternNode])
    /// The same again.
    case repetition(TopicPatternNode, Range)

    /// How often something is repeated.
    struct Range: Hashable, Sendable {
        /// At least.
        var min: Int
        /// At most; nil without end.
        var max: Int?
    }
}

/// A recursive descent over the characters of an expression.
struct TopicPatternParser {
    private let characters: [Unicode.Scalar]
    private var position = 0
    private var depth = 0
    private var foldsCase = false

    private static let backslash = "\u{5C}"
    private static let openingBrace = "\u{7B}"
    private static let closingBrace = "\u{7D}"

    init(_ text: String) { characters = Array(text.unicodeScalars) }

    /// The whole expression.
    mutating func parse() throws(TopicPatternError) -> TopicPatternNode {
        let node = try alternatives()
        if peek == ")" { throw error("an unexpected )") }
        return node
    }

    private var peek: Unicode.Scalar? { position < characters.count ? characters[position] : nil }

    private func sees(_ text: String) -> Bool { characters[position...].starts(with: text.unicodeScalars) }

    private mutating func take(_ text: String) -> Bool {
        guard sees(text) else { return false }
        position += text.unicodeScalars.count
        return true
    }

    private func error(_ what: String) -> TopicPatternError { .syntax(what, at: position) }

    // MARK: Structure

    private mutating func alternatives() throws(TopicPatternError) -> TopicPatternNode {
        depth += 1
        defer { depth -= 1 }
        guard depth <= TopicPattern.depthMax else { throw .tooDeep }
        let outer = foldsCase
        defer { foldsCase = outer }
        var branches = [try sequence()]
        while take("|") { branches.append(try sequence()) }
        return branches.count == 1 ? branches[0] : .alternatives(branches)
    }

    private mutating func sequence() throws(TopicPatternError) -> TopicPatternNode {
        var nodes: [TopicPatternNode] = []
        while let next = peek, next != "|", next != ")" {
            if take("\\Q") {
                nodes += quoted()
                continue
            }
            let node = try atom()
            nodes.append(try repeated(node))
        }
        return nodes.isEmpty ? .nothing : .sequence(nodes)
    }

    private mutating func quoted() -> [TopicPatternNode] {
        var nodes: [TopicPatternNode] = []
        while let next = peek, !take("\\E") {
            position += 1
            nodes.append(literal(next))
        }
        return nodes
    }

    private mutating func repeated(_ node: TopicPatternNode) throws(TopicPatternError) -> TopicPatternNode {
        guard let range = try repetition() else { return node }
        _ = take("?")  // Which match is preferred is all the same to whether there is one.
        if try repetition() != nil { throw error("a repetition of a repetition") }
        return .repetition(node, range)
    }

    private mutating func repetition() throws(TopicPatternError) -> TopicPatternNode.Range? {
        if take("*") { return TopicPatternNode.Range(min: 0, max: nil) }
        if take("+") { return TopicPatternNode.Range(min: 1, max: nil) }
        if take("?") { return TopicPatternNode.Range(min: 0, max: 1) }
        let start = position
        guard take(Self.openingBrace), let min = number() else {
            position = start  // A brace that counts nothing is a character.
            return nil
        }
        var max: Int? = min
        if take(",") { max = number() }
        guard take(Self.closingBrace) else {
            position = start
            return nil
        }
        guard min <= max ?? min, Swift.max(min, max ?? min) <= TopicPattern.repetitionsMax else {
            throw error("a repetition out of range")
        }
        return TopicPatternNode.Range(min: min, max: max)
    }

    private mutating func number() -> Int? {
        var value: Int?
        while let next = peek, ("0"..."9").contains(next) {
            value = Swift.min((value ?? 0) * 10 + Int(next.value - 48), 1_000_000)
            position += 1
        }
        return value
    }

    private mutating func atom() throws(TopicPatternError) -> TopicPatternNode {
        guard let next = peek else { return .nothing }
        if take("(") { return try group() }
        if take("[") { return .character(folded(try characterClass())) }
        if take(Self.backslash) { return try escape() }
        if take(".") { return .character(.all) }
        if take("^") { return .place(.start) }
        if take("$") { return .place(.end) }
        if "*+?".unicodeScalars.contains(next) { throw error("a repetition of nothing") }
        position += 1
        return literal(next)
    }

    private func literal(_ character: Unicode.Scalar) -> TopicPatternNode {
        .character(folded(Self.single(character)))
    }

    private static func single(_ character: Unicode.Scalar) -> CharacterClass {
        guard let byte = UInt8(exactly: character.value), byte < 128 else { return CharacterClass() }
        return CharacterClass(byte...byte)
    }

    private func folded(_ accepted: CharacterClass) -> CharacterClass { foldsCase ? accepted.foldingCase : accepted }

    // MARK: Groups

    private mutating func group() throws(TopicPatternError) -> TopicPatternNode {
        let outer = foldsCase
        if take("?") {
            if take("P<") || (sees("<") && !sees("<=") && !sees("<!") && take("<")) {
                try groupName()
            } else {
                let isOpen = try flags()
                // `(?i)` holds for the rest of the group that it stands in.
                if !isOpen { return .nothing }
            }
        }
        let node = try alternatives()
        guard take(")") else { throw error("a missing )") }
        foldsCase = outer
        return node
    }

    private mutating func groupName() throws(TopicPatternError) {
        let start = position
        while let next = peek, next != ">" {
            guard CharacterClass.word.contains(UInt8(clamping: next.value)) else { break }
            position += 1
        }
        guard position > start, take(">") else { throw error("a malformed group name") }
    }

    /// Reads flags up to `:` (true: a group follows) or `)`.
    private mutating func flags() throws(TopicPatternError) -> Bool {
        var isSetting = true
        while let next = peek {
            switch next {
            case ":", ")":
                position += 1
                return next == ":"
            case "-": isSetting = false
            case "i": foldsCase = isSetting
            case "m", "s", "U": break  // A name has one line, and any match will do.
            default: throw error("an unsupported group")
            }
            position += 1
        }
        throw error("a missing )")
    }
}

// MARK: - Characters

extension TopicPatternParser {
    private mutating func escape() throws(TopicPatternError) -> TopicPatternNode {
        guard let next = peek else { throw error("a trailing backslash") }
        switch next {
        case "A": return place(.start)
        case "z": return place(.end)
        case "b": return place(.wordBoundary)
        case "B": return place(.noWordBoundary)
        default: return .character(folded(try escapedClass()))
        }
    }

    private mutating func place(_ place: TopicPattern.Place) -> TopicPatternNode {
        position += 1
        return .place(place)
    }

    /// The class behind a backslash.
    private mutating func escapedClass() throws(TopicPatternError) -> CharacterClass {
        guard let next = peek else { throw error("a trailing backslash") }
        position += 1
        switch next {
        case "d": return .digit
        case "D": return CharacterClass.digit.inverted
        case "w": return .word
        case "W": return CharacterClass.word.inverted
        case "s": return .space
        case "S": return CharacterClass.space.inverted
        case "t": return CharacterClass("\t")
        case "n": return CharacterClass("\n")
        case "r": return CharacterClass("\r")
        case "f": return CharacterClass("\u{C}")
        case "v": return CharacterClass("\u{B}")
        case "a": return CharacterClass("\u{7}")
        case "x": return Self.single(try hexadecimal())
        default:
            guard next.isASCII, !CharacterClass.word.contains(UInt8(clamping: next.value)) else {
                position -= 1
                throw error("an unsupported escape of \(next)")
            }
            return Self.single(next)
        }
    }

    private mutating func hexadecimal() throws(TopicPatternError) -> Unicode.Scalar {
        var digits = ""
        if take(Self.openingBrace) {
            while let next = peek, String(next) != Self.closingBrace {
                digits.unicodeScalars.append(next)
                position += 1
            }
            guard take(Self.closingBrace) else { throw error("a missing closing brace") }
        } else {
            while digits.unicodeScalars.count < 2, let next = peek {
                digits.unicodeScalars.append(next)
                position += 1
            }
            if digits.count < 2 { throw error("a malformed \\x") }
        }
        guard let value = UInt32(digits, radix: 16), let scalar = Unicode.Scalar(value) else {
            throw error("a malformed \\x")
        }
        return scalar
    }

    private mutating func characterClass() throws(TopicPatternError) -> CharacterClass {
        let isInverted = take("^")
        var accepted = CharacterClass()
        var isFirst = true
        while isFirst || peek != "]" {
            guard peek != nil else { throw error("a missing ]") }
            isFirst = false
            if sees("[:") {
                accepted = accepted.union(try namedClass())
                continue
            }
            accepted = accepted.union(try range())
        }
        position += 1
        // Case is folded first: [^a] without case is neither a nor A.
        return isInverted ? folded(accepted).inverted : accepted
    }

    /// One character of a class, a range of them, or a class of its own behind a backslash.
    private mutating func range() throws(TopicPatternError) -> CharacterClass {
        let (first, firstClass) = try classElement()
        guard peek == "-", position + 1 < characters.count, characters[position + 1] != "]" else { return firstClass }
        position += 1
        let (last, _) = try classElement()
        guard let first, let last, first <= last else { throw error("a range out of order") }
        let end = Swift.min(last.value, 127)
        guard first.value <= end else { return CharacterClass() }
        return CharacterClass(UInt8(first.value)...UInt8(end))
    }

    /// The character, nil for a class, and the class that it makes.
    private mutating func classElement() throws(TopicPatternError) -> (Unicode.Scalar?, CharacterClass) {
        guard let next = peek else { throw error("a missing ]") }
        guard take(Self.backslash) else {
            position += 1
            return (next, Self.single(next))
        }
        let escaped = peek
        let accepted = try escapedClass()
        guard let escaped, !"dDwWsS".unicodeScalars.contains(escaped) else { return (nil, accepted) }
        let members = (UInt8(0)..<128).filter { accepted.contains($0) }
        return (members.count == 1 ? Unicode.Scalar(members[0]) : nil, accepted)
    }

    /// `[:alpha:]` and its like, inside a class.
    private mutating func namedClass() throws(TopicPatternError) -> CharacterClass {
        position += 2
        let isInverted = take("^")
        for (name, accepted) in Self.namedClasses where take(name + ":]") {
            return isInverted ? accepted.inverted : accepted
        }
        throw error("an unknown class")
    }

    private static let namedClasses: [(String, CharacterClass)] = {
        let upper = CharacterClass(65...90)
        let lower = CharacterClass(97...122)
        let alphabetic = upper.union(lower)
        let alphanumeric = alphabetic.union(.digit)
        let graphic = CharacterClass(33...126)
        return [
            ("alnum", alphanumeric), ("alpha", alphabetic), ("ascii", .all), ("blank", CharacterClass("\t ")),
            ("cntrl", CharacterClass(0...31).union(CharacterClass(127...127))), ("digit", .digit), ("graph", graphic),
            ("lower", lower), ("print", CharacterClass(32...126)),
            ("punct", graphic.inverted.union(alphanumeric).inverted),
            ("space", CharacterClass(9...13).union(CharacterClass(" "))), ("upper", upper), ("word", .word),
            ("xdigit", CharacterClass.digit.union(CharacterClass("abcdefABCDEF"))),
        ]
    }()
}
