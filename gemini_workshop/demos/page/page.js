// What every figure of the page does: say what is under the pointer, move by arrow keys, tell which button was pressed.
// The names element, trigger and watch are given by Gradio.
const say = (cell) => {
  const reading = cell.closest('.figure')?.querySelector('.reading');
  if (reading) reading.textContent = cell.dataset.say;
};
let current = null;
let picked = null;
const mark = (cell) => {
  current?.classList.remove('current');
  current = cell;
  cell.classList.add('current');
  say(cell);
};
element.addEventListener('pointerover', (event) => {
  const cell = event.target.closest('[data-say]');
  if (cell) say(cell);
});
element.addEventListener('focusin', (event) => {
  const cell = event.target.closest('[data-say]');
  if (cell) say(cell);
});
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-pick]');
  if (button) {
    picked = button.dataset.pick;
    trigger('select', { pick: picked });
    return;
  }
  const cell = event.target.closest('td[data-say], span[data-say]');
  if (cell) mark(cell);
});
element.addEventListener('keydown', (event) => {
  const table = event.target.closest('table[tabindex]');
  const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  if (!table || !moves[event.key]) return;
  event.preventDefault();
  const rows = [...table.rows].map((row) => [...row.querySelectorAll('td[data-say]')]).filter((row) => row.length);
  if (!rows.length) return;
  let row = rows.findIndex((cells) => cells.includes(current));
  let column = row < 0 ? -1 : rows[row].indexOf(current);
  if (row < 0) {
    row = column = 0;
  } else {
    row = Math.min(Math.max(row + moves[event.key][0], 0), rows.length - 1);
    column = Math.min(Math.max(column + moves[event.key][1], 0), rows[row].length - 1);
  }
  mark(rows[row][column]);
  rows[row][column].scrollIntoView({ block: 'nearest', inline: 'nearest' });
});
// The keyboard stays where it was when the figure is drawn again.

watch('value', () => {
  current = null;
  if (picked === null || (document.activeElement && document.activeElement !== document.body)) return;
  const same = element.querySelector(`[data-pick="${CSS.escape(picked)}"]`) ?? element.querySelector('button.take');
  same?.focus({ preventScroll: true });
});
