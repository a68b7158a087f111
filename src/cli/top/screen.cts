import { clearScreenDown, cursorTo, emitKeypressEvents } from 'node:readline';
import type { ReadStream, WriteStream } from 'node:tty';
import type { Line } from './view.cjs';

// The terminal: a screen of its own while the program runs, and the keys that end it. What Node has
// for terminals is enough for that, so the package needs no library at run time.

const ALTERNATE_SCREEN = ['\x1b[?1049h\x1b[?25l', '\x1b[?1049l\x1b[?25h'] as const;
const STYLES: Readonly<Record<Line['style'], readonly [string, string]>> = {
  plain: ['', ''],
  heading: ['\x1b[1m', '\x1b[22m'],
  alarm: ['\x1b[1;31m', '\x1b[22;39m'],
};

/** Draws over what it has drawn before. */
export class Screen {
  #lines: readonly Line[] = [];

  /** @param onQuit called at `q`, Ctrl-C and Ctrl-D */
  constructor(
    readonly output: WriteStream,
    readonly input: ReadStream,
    readonly onQuit: () => void,
  ) {}

  open(): void {
    this.output.write(ALTERNATE_SCREEN[0]);
    this.output.on('resize', this.#draw);
    if (!this.input.isTTY) return;
    emitKeypressEvents(this.input);
    this.input.setRawMode(true);
    this.input.on('keypress', this.#press);
    this.input.resume();
  }

  /** Leaves the terminal as it was. */
  close(): void {
    this.output.off('resize', this.#draw);
    this.output.write(ALTERNATE_SCREEN[1]);
    if (!this.input.isTTY) return;
    this.input.off('keypress', this.#press);
    this.input.setRawMode(false);
    this.input.pause();
  }

  show(lines: readonly Line[]): void {
    this.#lines = lines;
    this.#draw();
  }

  readonly #draw = (): void => {
    const { columns = 80, rows = 24 } = this.output;
    const room = Math.max(1, rows - 1);
    const cut = this.#lines.length > room;
    const shown = this.#lines.slice(0, cut ? room - 1 : room);
    cursorTo(this.output, 0, 0);
    for (const { text, style } of shown) {
      const [begin, end] = this.output.hasColors() ? STYLES[style] : STYLES.plain;
      this.output.write(`${begin}${text.slice(0, columns)}${end}\x1b[K\n`);
    }
    const more = cut ? `${this.#lines.length - shown.length} more lines: make the window taller. ` : '';
    clearScreenDown(this.output);
    this.output.write(`${more}q quits`.slice(0, columns));
  };

  readonly #press = (_: string | undefined, key: { name?: string; ctrl?: boolean }): void => {
    const isInterrupt = key.ctrl === true && (key.name === 'c' || key.name === 'd');
    if (isInterrupt || key.name === 'q') this.onQuit();
  };
}
