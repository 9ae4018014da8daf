// SPDX-License-Identifier: Apache-2.0
//
// GroupImage.swift
// What one replica has stored, and the writes that change it. Frames carry a chain of checksums, so that two logs are
// equal up to an index exactly when their chains are equal there.

internal import Model
internal import Raft

typealias Message = Raft.Message<UInt64>
typealias Entry = Raft.Entry<UInt64>
typealias Core = Raft.Instance<UInt64>

/// A step of a checksum; not for anything but telling values apart.
@inline(__always)
func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
    var z = a ^ (b &+ 0x9E37_79B9_7F4A_7C15 &+ (a << 6) &+ (a >> 2))
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
}

/// An entry with the checksum of everything up to it.
struct Frame {
    let entry: Entry
    var chain: UInt64

    /// Seals an entry after a log whose checksum is `previous`.
    init(_ entry: Entry, after previous: UInt64) {
        self.entry = entry
        var sum = mix(mix(previous, entry.index.rawValue), entry.term.rawValue)
        switch entry.body {
        case .data(let payload): sum = mix(sum, payload)
        case .noop: sum = mix(sum, 1 << 62)
        case .configuration(let configuration):
            for list in [configuration.voters, configuration.outgoing, configuration.learners] {
                sum = mix(sum, 1 << 61)
                for node in list { sum = mix(sum, UInt64(node.rawValue)) }
            }
        }
        chain = sum
    }
}

/// What an installed snapshot brings.
struct Installed {
    let info: Raft.SnapshotInfo
    /// The checksum of the log up to its position, which is also the state of the application there.
    let chain: UInt64
}

/// A change of one replica's stored state; the units that storage orders.
enum Write {
    case hardState(Raft.HardState)
    case truncate(LogIndex)
    case append([Frame])
    case install(Installed)
    case trim(LogIndex)
    /// The replica knows from now on that its promises are lost.
    case markAmnesiac
}

/// One replica's stored state.
struct GroupImage {
    var hardState = Raft.HardState()
    private(set) var base = Raft.Position.zero
    private(set) var baseChain: UInt64 = 0
    private(set) var frames: [Frame] = []
    /// The configuration at the base, then those of the log.
    private(set) var configurations: Raft.ConfigurationHistory
    private(set) var isAmnesiac = false
    /// Where the replica began when it came back to its group.
    let floor: Raft.Position?
    /// A commit index that was stored beside the data.
    var commitHint = LogIndex.zero

    init(_ configuration: Raft.Configuration, floor: Raft.Position? = nil) {
        self.floor = floor
        configurations = Raft.ConfigurationHistory(initial: configuration)
    }

    var last: LogIndex { base.index + frames.count }
    var lastChain: UInt64 { frames.last?.chain ?? baseChain }
    var configuration: Raft.ConfigurationHistory.Element { configurations.current }

    func frame(at index: LogIndex) -> Frame? {
        index > base.index && index <= last ? frames[index - base.index - 1] : nil
    }

    func term(at index: LogIndex) -> Term? { index == base.index ? base.term : frame(at: index)?.entry.term }

    func chain(at index: LogIndex) -> UInt64? { index == base.index ? baseChain : frame(at: index)?.chain }

    /// A checksum of all of it.
    var digest: UInt64 {
        var sum = mix(mix(hardState.term.rawValue, UInt64(hardState.votedFor?.rawValue ?? -1 & 0xFFFF)), lastChain)
        sum = mix(mix(sum, last.rawValue), base.index.rawValue)
        return mix(sum, isAmnesiac ? 1 : 0)
    }

    mutating func apply(_ write: Write) {
        switch write {
        case .hardState(let state): hardState = state
        case .truncate(let from):
            guard from <= last else { return }
            frames.removeLast(min(frames.count, last - from + 1))
            rebuildConfigurations()
        case .append(let new):
            precondition(new[0].entry.index == last.next, "hole in a log: \(new[0].entry.index) after \(last)")
            for frame in new {
                frames.append(frame)
                if case .configuration(let configuration) = frame.entry.body {
                    configurations.append(configuration, at: frame.entry.index)
                }
            }
        case .install(let snapshot):
            base = snapshot.info.position
            baseChain = snapshot.chain
            frames = []
            configurations = Raft.ConfigurationHistory(initial: snapshot.info.configuration, at: base.index)
        case .trim(let index): trim(through: index)
        case .markAmnesiac: isAmnesiac = true
        }
    }

    private mutating func trim(through index: LogIndex) {
        guard let frame = frame(at: index) else { return }
        let kept = configurations.elements.filter { $0.index > index }
        var history = Raft.ConfigurationHistory(initial: configurations.element(at: index).configuration, at: index)
        for element in kept { history.append(element.configuration, at: element.index) }
        configurations = history
        frames.removeFirst(index - base.index)
        base = frame.entry.position
        baseChain = frame.chain
    }

    /// Takes the place of another log: what `source` holds up to an entry, as a snapshot of segments brings it.
    mutating func copy(_ source: GroupImage, through index: LogIndex) {
        base = source.base
        baseChain = source.baseChain
        frames = Array(source.frames.prefix(max(0, index - base.index)))
        let kept = source.configurations.elements.filter { $0.index <= index }
        guard let first = kept.first else { return }
        var history = Raft.ConfigurationHistory(initial: first.configuration, at: first.index)
        for element in kept.dropFirst() { history.append(element.configuration, at: element.index) }
        configurations = history
    }

    /// Cuts the log before `index`, as recovery does with what cannot be used.
    mutating func cut(from index: LogIndex) { apply(.truncate(max(index, base.index.next))) }

    /// Replaces the bytes of an entry by what a medium made of them.
    mutating func damage(_ index: LogIndex, chain: UInt64) {
        guard index > base.index, index <= last else { return }
        frames[index - base.index - 1].chain = chain
    }

    private mutating func rebuildConfigurations() {
        guard configurations.current.index > last, let oldest = configurations.elements.first else { return }
        var history = Raft.ConfigurationHistory(initial: oldest.configuration, at: oldest.index)
        for element in configurations.elements.dropFirst() where element.index <= last {
            history.append(element.configuration, at: element.index)
        }
        configurations = history
    }

    /// Where the terms of its entries begin; that of the entry before the first one began earlier.
    var termStarts: [Raft.TermStart] {
        var starts: [Raft.TermStart] = []
        var term = base.term
        for frame in frames where frame.entry.term != term {
            term = frame.entry.term
            starts.append(Raft.TermStart(term: term, start: frame.entry.index))
        }
        return starts
    }

    /// What a core takes over.
    func recovered(standing: Raft.Standing) -> Raft.DurableState {
        var runs: [Raft.TermStart] = []
        for frame in frames where frame.entry.term != runs.last?.term {
            runs.append(Raft.TermStart(term: frame.entry.term, start: frame.entry.index))
        }
        return Raft.DurableState(
            hardState: hardState, base: base, lastIndex: last, termStarts: runs,
            committed: max(base.index, min(commitHint, last)), configurations: configurations, standing: standing,
            floor: floor)
    }
}

extension Raft.Entry {
    var position: Raft.Position { Raft.Position(index: index, term: term) }
}
