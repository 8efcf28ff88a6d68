// Reads the status again every ten seconds, while somebody looks at it and touches nothing. The page is whole without this.
'use strict';

(() => {
  const every = 10_000;
  const button = document.getElementById('refresh');
  if (!button || location.pathname !== '/') return;

  let on = true;
  const show = () => {
    button.setAttribute('aria-pressed', String(on));
    button.textContent = on ? 'Refreshes by itself' : 'Does not refresh';
  };
  button.hidden = false;
  button.addEventListener('click', () => {
    on = !on;
    show();
  });
  show();

  const busy = () => {
    const main = document.querySelector('main');
    return document.hidden || (main !== document.activeElement && main.contains(document.activeElement)) || !getSelection().isCollapsed;
  };

  // What is shown may have come to be wrong: say so where nobody can miss it, and do not stay green.
  const told = document.createElement('p');
  told.className = 'said warn';
  told.setAttribute('role', 'status');
  told.hidden = true;
  document.querySelector('main').before(told);
  let failed = false;
  const age = () => {
    const read = document.querySelector('footer time');
    const old = failed || Date.now() - good > 3 * every;
    const text = old ? `Not refreshed since ${read.textContent} UTC` : '';
    if (told.textContent !== text) told.textContent = text;
    told.hidden = !old;
    document.querySelector('.verdict')?.classList.toggle('old', old);
  };
  let good = Date.now();

  const refresh = async () => {
    if (!on || busy()) return;
    try {
      const answer = await fetch('/', { credentials: 'same-origin', redirect: 'error', signal: AbortSignal.timeout(every) });
      if (!answer.ok) throw new Error(`answered ${answer.status}`);
      if (busy()) return;
      const next = new DOMParser().parseFromString(await answer.text(), 'text/html');
      for (const part of ['main', 'footer time']) {
        const [old, fresh] = [document.querySelector(part), next.querySelector(part)];
        if (old && fresh) old.replaceWith(document.adoptNode(fresh));
      }
      [failed, good] = [false, Date.now()];
    } catch {
      failed = true;
    }
    age();
  };
  setInterval(refresh, every);
  setInterval(age, 1000);
})();
