"""How the page looks: colours that every eye tells apart, a grid that becomes one column on a phone."""

from typing import Final

from afsim.plots import COLOURS

BLUE, VERMILION, GREEN = COLOURS[:3]

CSS: Final = """
.nicegui-content { padding: 0; }
main { width: 100%; max-width: 1720px; margin: 0 auto; padding: 2px 8px; font-size: 14px; color: #222; }
.top { display: flex; gap: 12px; align-items: center; min-height: 34px; flex-wrap: wrap; }
.title { font-weight: 700; font-size: 17px; }
.grow { flex: 1 1 auto; min-width: 0; }
.small { font-size: 12.5px; color: #444; }
.mono { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
.status { max-width: 50%; font-size: 13px; font-weight: 600; color: #222; }
.name { font-weight: 700; overflow-wrap: anywhere; }
.board { display: grid; gap: 8px; grid-template-columns: minmax(0, 1.55fr) minmax(330px, 1fr); }
.hand { display: grid; gap: 2px 10px; grid-template-columns: 228px minmax(0, 1fr); border: 1px solid #ccc;
  border-radius: 6px; padding: 6px 8px; align-content: start; }
.hand-eye { grid-row: 1; } .hand-chart { grid-row: 1; grid-column: 2; min-width: 0; }
.hand-lens { grid-column: 1 / -1; display: grid; gap: 3px; }
.patch { position: relative; width: 100%; aspect-ratio: 1; overflow: hidden; background: #111; border-radius: 4px; }
.patch img { width: 100%; height: 100%; object-fit: contain; image-rendering: pixelated; display: block; }
.stands { font-size: 13.5px; font-weight: 600; overflow-wrap: anywhere; }
.advice { min-height: 19px; }
.goto { width: 84px; } .field { width: 112px; } .wide { width: 150px; } .filter { width: 106px; }
.policy { width: 250px; }
.sections { border: 1px solid #ccc; border-radius: 6px; padding: 8px; min-width: 0; }
.section { height: 372px; overflow-y: auto; padding-top: 8px; display: flex; flex-direction: column; gap: 8px; }
.section.hidden { display: none; }
.thumbnails { display: grid; grid-template-columns: repeat(auto-fill, minmax(76px, 1fr)); gap: 6px; width: 100%; }
.thumbnail { border: 1px solid #bbb; border-radius: 4px; padding: 3px; background: #fff; cursor: pointer;
  font-size: 11.5px; overflow-wrap: anywhere; line-height: 1.15; }
.thumbnail:hover, .thumbnail:focus-visible { border-color: #0072B2; outline: 2px solid #0072B2; }
.thumbnail img { width: 100%; aspect-ratio: 1; object-fit: cover; }
.fields { display: grid; grid-template-columns: repeat(auto-fill, minmax(120px, 1fr)); gap: 8px; padding: 6px 0;
  width: 100%; }
.fields .field { width: 100%; }
.crew { grid-column: 1 / -1; display: flex; flex-wrap: wrap; gap: 6px; align-items: center; }
.lines { grid-column: 1 / -1; display: grid; gap: 8px;
  grid-template-columns: repeat(auto-fill, minmax(380px, 1fr)); }
.line { border: 1px solid #ccc; border-radius: 6px; padding: 4px 8px 6px; min-width: 0; }
.line-body { display: grid; grid-template-columns: 150px minmax(0, 1fr); gap: 6px; align-items: center; }
.why { margin: 0; padding-left: 18px; list-style: disc; font-size: 13.5px; }
.strip { width: 92vw; max-width: none; }
.scores { font-size: 12.5px; }
button:focus-visible, .q-btn:focus-visible { outline: 3px solid #E69F00; outline-offset: 1px; }
@media (max-width: 900px) {
  .board, .lines { grid-template-columns: minmax(0, 1fr); }
  .section { height: auto; max-height: none; }
  .status { max-width: 100%; }
}
@media (max-width: 560px) {
  .hand { grid-template-columns: minmax(0, 1fr); }
  .hand-eye, .hand-chart { grid-row: auto; grid-column: 1; }
  .line-body { grid-template-columns: 120px minmax(0, 1fr); }
}
"""

HEAD: Final = """
<script>
const showPatch = (id, attributes) => {
  const image = document.getElementById(`c${id}`);
  for (const [name, value] of Object.entries(attributes)) image?.setAttribute(name, value);
};
// What must not wait for the server: arrow keys move the lens and would scroll the page, too, G begins typing,
// and Escape ends it.
window.addEventListener('keydown', (event) => {
  const typing = ['INPUT', 'TEXTAREA', 'SELECT'].includes(document.activeElement?.tagName);
  if (typing && event.key === 'Escape') document.activeElement.blur();
  if (typing || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key.startsWith('Arrow')) event.preventDefault();
  if (event.key.toLowerCase() === 'g') {
    event.preventDefault();
    document.querySelector('[data-testid=goto]')?.focus();
  }
});
</script>
"""
