/** Who is there, without hashing: each member knows its place. A member is in one roster at most. */
export interface Member {
  /** Kept by the roster; -1 while in none. */
  place: number;
}

export class Roster<M extends Member> {
  readonly #members: M[] = [];

  get size(): number {
    return this.#members.length;
  }

  add(member: M): void {
    member.place = this.#members.length;
    this.#members.push(member);
  }

  /** The last one takes the place that gets free. False when it was not there. */
  delete(member: M): boolean {
    const { place } = member;
    if (this.#members[place] !== member) return false;
    const last = this.#members.pop();
    if (last !== undefined && last !== member) {
      this.#members[place] = last;
      last.place = place;
    }
    member.place = -1;
    return true;
  }

  /** All of them now, whatever happens to the roster meanwhile. */
  all(): readonly M[] {
    return [...this.#members];
  }
}
